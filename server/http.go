package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"weir/webhook"
)

// routes is every path that weir answers.
func (s *Server) routes() http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.Recoverer)
	r.Post("/webhook", s.deliver)
	r.Post("/events", s.deliver)
	r.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	r.Get("/readyz", s.ready)
	r.Get("/metrics", s.metrics.Handler().ServeHTTP)
	if !s.cfg.ShowPages() {
		s.log.Info("pages and /api are off: set pages.user and pages.password_file, or serve on loopback only")
		return r
	}
	r.Group(func(r chi.Router) {
		r.Use(s.sameHost, s.login, secure)
		r.Handle("/static/*", http.StripPrefix("/static/", s.pages.Static()))
		r.Get("/", s.pageHome)
		r.Get("/pulls/{owner}/{name}/{number}", s.pagePull)
		r.Get("/runs/{id}", s.pageRun)
		r.Get("/runs/{id}/log", s.followRun)
		r.Get("/locks", s.pageLocks)
		r.Get("/drift", s.pageDrift)
		r.Route("/api/v1", func(r chi.Router) {
			r.Get("/openapi.json", s.apiDescription)
			r.Get("/locks", s.apiLocks)
			r.Get("/drift", s.apiDrift)
			r.Get("/pulls/{owner}/{name}/{number}", s.apiPull)
			r.Get("/runs/{id}", s.apiRun)
		})
		r.NotFound(func(w http.ResponseWriter, r *http.Request) {
			s.problem(w, r, http.StatusNotFound, "There is nothing at this address.")
		})
	})
	return r
}

// deliver takes a delivery: verify, decide, record, answer. The work is done
// later, by a worker, from what was recorded.
func (s *Server) deliver(w http.ResponseWriter, r *http.Request) {
	event, err := s.receiver.Read(r)
	status, text := http.StatusAccepted, "accepted"
	name := event.Name
	switch {
	case err != nil:
		status, text = webhook.StatusOf(err), err.Error()
		name = "refused"
		s.log.Warn("delivery refused", "status", status, "err", err, "delivery", r.Header.Get("X-GitHub-Delivery"))
	default:
		d := s.desk
		if self := s.self.Load(); self != nil {
			d.Self = *self
		}
		jobs, ignored := d.Jobs(event)
		if len(jobs) == 0 {
			text = "nothing to do: " + ignored
			break
		}
		if s.cfg.Serves(event.Repo) {
			s.github.Remember(event.Repo, event.Installation)
		}
		fresh, err := s.queue.Accept(r.Context(), event.Delivery, jobs...)
		switch {
		case err != nil:
			// Not acknowledged, so that it can be sent again.
			status, text = http.StatusServiceUnavailable, "the delivery could not be stored; send it again"
			s.log.Error("delivery not stored", "delivery", event.Delivery, "err", err)
		case !fresh:
			text = "accepted before"
		}
	}
	s.metrics.Delivery(name, status)
	answer(w, status, text)
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	if err := s.store.Ready(ctx); err != nil {
		s.log.Warn("not ready", "err", err)
		answer(w, http.StatusServiceUnavailable, "the store takes no writes")
		return
	}
	answer(w, http.StatusOK, "ready")
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// A client that went away has no use for it.
	_, _ = fmt.Fprintln(w, text) //nolint:gosec // plain text, which no browser takes for a page
}

// login asks for the password of the pages, where there is one.
func (s *Server) login(next http.Handler) http.Handler {
	if s.cfg.Pages.User == "" {
		return next
	}
	// Hashes are compared, so that the time taken tells nothing, not even
	// the length.
	wantUser, wantPassword := sha256.Sum256([]byte(s.cfg.Pages.User)), sha256.Sum256([]byte(s.cfg.Pages.Password.Reveal()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		gotUser, gotPassword := sha256.Sum256([]byte(user)), sha256.Sum256([]byte(password))
		if subtle.ConstantTimeCompare(gotUser[:], wantUser[:])&subtle.ConstantTimeCompare(gotPassword[:], wantPassword[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="weir", charset="UTF-8"`)
			answer(w, http.StatusUnauthorized, "user and password, please")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// secure sets the headers that keep a page from loading or running anything
// that is not ours.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

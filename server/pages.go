package server

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"

	"github.com/go-chi/chi/v5"

	"weir/planner/artifact"
	"weir/planner/record"
	"weir/server/config"
	"weir/server/issues"
	"weir/templates"
)

func (s *Server) pageHome(w http.ResponseWriter, r *http.Request) {
	pulls, err := record.ReadPulls(r.Context(), s.store)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	const most = 200 // closed ones are at the end
	page := templates.HomePage{Pulls: pulls[:min(len(pulls), most)], Version: s.version}
	page.Health = append(page.Health, health("Store", "takes writes", s.store.Ready(r.Context())))
	pending, err := s.pending.Get(r.Context())
	page.Health = append(page.Health, health("Jobs", fmt.Sprintf("%d queued or running", pending), err))
	page.Health = append(page.Health, s.deadLetters(r.Context())...)
	s.render(w, r, http.StatusOK, templates.PageHome, page)
}

func health(name, good string, err error) templates.Health {
	if err != nil {
		return templates.Health{Name: name, Tone: "bad", Text: "does not answer; the server's log says why"}
	}
	return templates.Health{Name: name, Tone: "good", Text: good}
}

func (s *Server) pagePull(w http.ResponseWriter, r *http.Request) {
	rec, ok, err := s.pullOf(r)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if !ok {
		s.problem(w, r, http.StatusNotFound, "weir does not know this pull request.")
		return
	}
	runs, err := rec.Runs(r.Context(), s.store)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	audit, err := record.ReadAudit(r.Context(), s.store, rec.Repo, rec.Pull)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	slices.Reverse(audit)
	const most = 100
	s.render(w, r, http.StatusOK, templates.PagePull, templates.PullPage{Record: rec, Runs: runs, History: audit[:min(len(audit), most)]})
}

func (s *Server) pageRun(w http.ResponseWriter, r *http.Request) {
	one, ok, err := record.ReadRun(r.Context(), s.store, chi.URLParam(r, "id"))
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if !ok {
		s.problem(w, r, http.StatusNotFound, "There is no such run. Runs are forgotten some time after their pull request was closed.")
		return
	}
	page := templates.RunPage{Run: one}
	if rec, known, err := record.ReadPull(r.Context(), s.store, one.Repo, one.Pull); err == nil && known {
		page.PullURL = rec.URL
	}
	page.Text = s.artifact(r.Context(), one, one.Text)
	if one.Log != "" || !one.Ended.IsZero() {
		page.Log = s.artifact(r.Context(), one, one.Log)
		s.render(w, r, http.StatusOK, templates.PageRun, page)
		return
	}
	// What is there now; whoever has scripts follows from there.
	so, err := s.runs.Logs.Left(one.ID)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	so = so[:min(len(so), maxLog)]
	so = so[:bytes.LastIndexByte(so, '\n')+1] // no half lines, no half characters
	page.Live, page.Log, page.Offset = true, string(so), int64(len(so))
	s.render(w, r, http.StatusOK, templates.PageRun, page)
}

// maxLog is how much of a log a page shows.
const maxLog = 2 << 20

// artifact reads what a run has left. What is gone, because its pull request
// was closed, is said in its place.
func (s *Server) artifact(ctx context.Context, one record.Run, digest string) string {
	if digest == "" {
		return ""
	}
	data, err := s.runs.Artifacts.Get(ctx, artifact.Scope{Repo: one.Repo, Pull: one.Pull}, digest)
	if err != nil {
		s.log.Debug("artifact not shown", "run", one.ID, "err", err)
		return "(no longer kept: plans and logs are removed when their pull request closes)"
	}
	if len(data) > maxLog {
		return string(data[:maxLog]) + "\n(cut)"
	}
	return string(data)
}

func (s *Server) pageLocks(w http.ResponseWriter, r *http.Request) {
	all, err := s.allLocks(r.Context())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	page := templates.LocksPage{Health: s.deadLetters(r.Context())}
	for _, l := range all {
		row := templates.LockRow{Repo: l.Repo, Dir: l.Dir, Workspace: l.Workspace, Owner: l.Pull, Since: l.Since, Waiters: l.Waiters}
		if l.Holder != nil {
			row.HolderRepo, row.Holder = l.Holder.Repo, l.Holder.Pull
		}
		page.Locks = append(page.Locks, row)
	}
	s.render(w, r, http.StatusOK, templates.PageLocks, page)
}

func (s *Server) pageDrift(w http.ResponseWriter, r *http.Request) {
	page, err := issues.Page(r.Context(), s.store, s.cfg.CommandNames[0])
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, templates.PageDrift, page)
}

func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, name string, page any) {
	var body bytes.Buffer
	if err := s.pages.Render(&body, name, page); err != nil {
		s.log.Error("page", "path", r.URL.Path, "err", err)
		answer(w, http.StatusInternalServerError, "This page could not be made; the server's log says why.")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a client that went away has no use for it
}

func (s *Server) problem(w http.ResponseWriter, r *http.Request, status int, text string) {
	s.render(w, r, status, templates.PageProblem, templates.ProblemPage{Status: status, Title: http.StatusText(status), Text: text})
}

func (s *Server) broken(w http.ResponseWriter, r *http.Request, err error) {
	s.log.Error("page", "path", r.URL.Path, "err", err)
	s.problem(w, r, http.StatusInternalServerError, "The store did not answer; the server's log says why.")
}

// sameHost refuses requests under a name that is not ours where there is no
// password: otherwise a page elsewhere could make its own name point at this
// machine and read what is here through its visitor's browser.
func (s *Server) sameHost(next http.Handler) http.Handler {
	public := ""
	if u, err := url.Parse(s.cfg.PublicURL); err == nil {
		public = u.Hostname()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if s.cfg.Pages.User == "" && host != public && !config.IsLoopback(host) {
			answer(w, http.StatusMisdirectedRequest, "This server is not "+host+".")
			return
		}
		next.ServeHTTP(w, r)
	})
}

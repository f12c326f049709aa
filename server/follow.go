package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/oklog/ulid/v2"

	"weir/planner/artifact"
	"weir/planner/record"
	"weir/templates/markdown"
)

// followRun streams the log of a run that goes on, here or on another replica,
// as server-sent events. The id of an event is where the log goes on after it,
// so that a browser that lost the connection goes on there, with any replica.
func (s *Server) followRun(w http.ResponseWriter, r *http.Request) {
	id := chi.URLParam(r, "id")
	offset, err := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	if err != nil || offset < 0 {
		offset = 0
	}
	// A browser that lost the connection says what it has seen.
	if last, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64); err == nil && last > offset {
		offset = last
	}
	if _, ok, err := record.ReadRun(r.Context(), s.store, id); err != nil || !ok {
		s.problem(w, r, http.StatusNotFound, "There is no such run.")
		return
	}
	e := events{w: w, flush: http.NewResponseController(w), next: offset}
	// The stream lasts as long as the run.
	_ = e.flush.SetWriteDeadline(time.Time{}) // not every writer has one
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx gathers otherwise; see its manual of proxy_buffering
	// At once, so that the browser knows that it is connected; it comes
	// again after that many milliseconds.
	if err := e.send("retry: 3000\n\n"); err != nil {
		return
	}
	all, err := s.runs.Logs.Follow(r.Context(), id, offset, func(ctx context.Context) (bool, error) {
		one, ok, err := record.ReadRun(ctx, s.store, id)
		return !ok || !one.Ended.IsZero(), err
	}, e.log)
	if err == nil && !all {
		err = s.restOfLog(r.Context(), id, &e)
	}
	if err == nil {
		err = e.send("event: end\ndata: end\n\n")
	}
	if err != nil && r.Context().Err() == nil {
		s.log.Debug("live log ended", "run", id, "err", err)
	}
}

// restOfLog sends what the log of a run that has ended holds beyond what was
// sent: it was never shared, or the connection was lost meanwhile.
func (s *Server) restOfLog(ctx context.Context, id string, e *events) error {
	one, ok, err := record.ReadRun(ctx, s.store, id)
	if err != nil || !ok || one.Log == "" {
		return err
	}
	data, err := s.runs.Artifacts.Get(ctx, artifact.Scope{Repo: one.Repo, Pull: one.Pull}, one.Log)
	if err != nil {
		return err
	}
	if e.next >= int64(len(data)) {
		return nil
	}
	rest := string(data[e.next:])
	if len(rest) > maxLog {
		rest = strings.ToValidUTF8(rest[:maxLog], "\ufffd") + "\n(cut)"
	}
	return e.log([]byte(rest), int64(len(data)))
}

// events writes server-sent events.
type events struct {
	w     http.ResponseWriter
	flush *http.ResponseController
	next  int64 // where the log goes on
}

// log sends a piece of a log as the page shows it, or says that it still
// listens where there is none. It is a live.Each.
func (e *events) log(text []byte, next int64) error {
	if len(text) == 0 {
		return e.send(": nothing new\n\n")
	}
	e.next = next
	data, err := json.Marshal(markdown.Printable(string(text)))
	if err != nil {
		return err
	}
	return e.send("id: %d\nevent: log\ndata: %s\n\n", next, data)
}

func (e *events) send(format string, args ...any) error {
	if _, err := fmt.Fprintf(e.w, format, args...); err != nil {
		return err
	}
	return e.flush.Flush()
}

// keepLive is how long the log of a run is kept that nobody has sealed.
const keepLive = 24 * time.Hour

// needsLog says whether what is live of a run's log is still of use: while the
// run goes on, or may; and, for an apply whose process died, until that has been
// told and the log sealed, however long that takes.
func (s *Server) needsLog(ctx context.Context, id string) (bool, error) {
	one, ok, err := record.ReadRun(ctx, s.store, id)
	switch {
	case err != nil:
		return true, err
	case !ok: // not recorded, or forgotten, or no run has such an id
		parsed, err := ulid.ParseStrict(id)
		return err == nil && time.Since(ulid.Time(parsed.Time())) < keepLive, nil
	case !one.Ended.IsZero():
		return one.Log == "" && time.Since(one.Ended) < keepLive, nil
	}
	return one.Verb == "apply" || time.Since(one.Started) < keepLive, nil
}

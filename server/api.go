package server

import (
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"weir/planner/record"
	"weir/planner/terraform"
	"weir/policy"
	"weir/server/issues"
)

// openAPI describes /api/v1; a test holds it true.
//
//go:embed openapi.json
var openAPI []byte

type apiLock struct {
	Repo      string    `json:"repo"`
	Dir       string    `json:"dir"`
	Workspace string    `json:"workspace"`
	Pull      int       `json:"pull"`
	Epoch     int64     `json:"epoch"`
	Since     time.Time `json:"since"`
	Waiters   []int     `json:"waiters"`

	// Who keeps it from its waiters by owning another project with the same
	// Terraform state; nil where nobody does.
	Holder *apiHolder `json:"holder,omitempty"`
}

type apiHolder struct {
	Repo string `json:"repo"`
	Pull int    `json:"pull"`
}

type apiPull struct {
	Repo     string           `json:"repo"`
	Pull     int              `json:"pull"`
	Title    string           `json:"title"`
	Author   string           `json:"author"`
	Head     string           `json:"head"`
	Base     string           `json:"base"`
	Closed   bool             `json:"closed"`
	Merged   bool             `json:"merged"`
	Mode     string           `json:"mode"`
	Failure  string           `json:"failure,omitempty"`
	Projects []apiProject     `json:"projects"`
	Waiting  []record.Waiting `json:"waiting"`
	Gate     *policy.Decision `json:"gate"`
	Updated  time.Time        `json:"updated"`
}

type apiProject struct {
	ID           string   `json:"id"`
	Dir          string   `json:"dir"`
	Workspace    string   `json:"workspace"`
	State        string   `json:"state"`
	Run          string   `json:"run"`
	Epoch        int64    `json:"epoch"`
	PlanDigest   string   `json:"plan_digest"`
	ChangeDigest string   `json:"change_digest"`
	PlanHead     string   `json:"plan_head"`
	DependsOn    []string `json:"depends_on"`
	Note         string   `json:"note,omitempty"`
}

type apiRun struct {
	ID        string             `json:"id"`
	Repo      string             `json:"repo"`
	Pull      int                `json:"pull"`
	Project   string             `json:"project"`
	Dir       string             `json:"dir"`
	Workspace string             `json:"workspace"`
	Verb      string             `json:"verb"`
	State     string             `json:"state"`
	Head      string             `json:"head"`
	Job       string             `json:"job"`
	Started   time.Time          `json:"started"`
	Ended     *time.Time         `json:"ended"`
	Failure   string             `json:"failure,omitempty"`
	Notes     []string           `json:"notes"`
	Summary   *terraform.Summary `json:"summary"`
	Origins   []record.Origin    `json:"origins,omitempty"`
}

func (s *Server) apiDescription(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI) // a client that went away has no use for it
}

func (s *Server) apiLocks(w http.ResponseWriter, r *http.Request) {
	all, err := s.allLocks(r.Context())
	if err != nil {
		s.failAPI(w, err)
		return
	}
	if all == nil {
		all = []apiLock{}
	}
	writeJSON(w, http.StatusOK, map[string][]apiLock{"locks": all})
}

func (s *Server) apiDrift(w http.ResponseWriter, r *http.Request) {
	document, err := issues.API(r.Context(), s.store)
	if err != nil {
		s.failAPI(w, err)
		return
	}
	writeJSON(w, http.StatusOK, document)
}

func (s *Server) apiPull(w http.ResponseWriter, r *http.Request) {
	rec, ok, err := s.pullOf(r)
	switch {
	case err != nil:
		s.failAPI(w, err)
	case !ok:
		writeJSON(w, http.StatusNotFound, apiError{"weir does not know this pull request"})
	default:
		writeJSON(w, http.StatusOK, toAPI(rec))
	}
}

func toAPI(rec record.Record) apiPull {
	p := apiPull{
		Repo: rec.Repo, Pull: rec.Pull, Title: rec.Title, Author: rec.Author, Head: rec.Head, Base: rec.Base,
		Closed: rec.Closed, Merged: rec.Merged, Mode: string(rec.Mode), Failure: rec.Failure,
		Projects: []apiProject{}, Waiting: append([]record.Waiting{}, rec.Waiting...), Gate: rec.Decision, Updated: rec.Updated,
	}
	for _, one := range rec.Projects {
		p.Projects = append(p.Projects, apiProject{
			ID: one.ID, Dir: one.Dir, Workspace: one.Workspace, State: string(one.State), Run: one.Run, Epoch: one.Epoch,
			PlanDigest: one.PlanDigest, ChangeDigest: one.ChangeDigest, PlanHead: one.PlanHead,
			DependsOn: append([]string{}, one.DependsOn...), Note: one.Note,
		})
	}
	return p
}

func (s *Server) apiRun(w http.ResponseWriter, r *http.Request) {
	run, ok, err := record.ReadRun(r.Context(), s.store, chi.URLParam(r, "id"))
	if err != nil {
		s.failAPI(w, err)
		return
	}
	if !ok {
		writeJSON(w, http.StatusNotFound, apiError{"there is no such run"})
		return
	}
	out := apiRun{
		ID: run.ID, Repo: run.Repo, Pull: run.Pull, Project: run.Project, Dir: run.Dir, Workspace: run.Workspace,
		Verb: run.Verb, State: string(run.State), Head: run.Head, Job: run.Job, Started: run.Started,
		Failure: run.Failure, Notes: append([]string{}, run.Notes...), Summary: run.Summary, Origins: run.Origins,
	}
	if !run.Ended.IsZero() {
		out.Ended = &run.Ended
	}
	writeJSON(w, http.StatusOK, out)
}

type apiError struct {
	Error string `json:"error"`
}

func (s *Server) failAPI(w http.ResponseWriter, err error) {
	s.log.Error("api", "err", err)
	writeJSON(w, http.StatusInternalServerError, apiError{"the store did not answer"})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away has no use for it
}

// pullOf reads the pull request that a path names.
func (s *Server) pullOf(r *http.Request) (record.Record, bool, error) {
	number, _ := strconv.Atoi(chi.URLParam(r, "number")) // no number is no pull request
	if number <= 0 {
		return record.Record{}, false, nil
	}
	repo := chi.URLParam(r, "owner") + "/" + chi.URLParam(r, "name")
	if strings.ContainsAny(repo, "#\x00") {
		return record.Record{}, false, nil
	}
	return record.ReadPull(r.Context(), s.store, repo, number)
}

// allLocks lists the locks of every repository.
func (s *Server) allLocks(ctx context.Context) ([]apiLock, error) {
	repos, err := s.locks.Repos(ctx)
	if err != nil {
		return nil, err
	}
	var all []apiLock
	for _, repo := range repos {
		rows, err := s.locks.List(ctx, repo)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			one := apiLock{Repo: repo, Dir: row.Key.Dir, Workspace: row.Key.Workspace, Pull: row.Owner, Epoch: row.Epoch, Since: row.Since, Waiters: []int{}}
			if h := row.Holder; row.Owner == 0 && h.Number != 0 {
				one.Holder = &apiHolder{Repo: h.Repo, Pull: h.Number}
			}
			for _, w := range row.Waiters {
				one.Waiters = append(one.Waiters, w.Pull)
			}
			all = append(all, one)
		}
	}
	return all, nil
}

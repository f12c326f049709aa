package templates

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"time"

	"weir/planner/record"
	"weir/planner/terraform"
	"weir/policy"
	"weir/templates/elsewhere"
	"weir/templates/markdown"
)

//go:embed pages/*.html.tmpl
var pageFiles embed.FS

//go:embed static
var staticFiles embed.FS

// Names of the pages, and what each is rendered from.
const (
	PageHome    = "home"    // HomePage
	PagePull    = "pull"    // PullPage
	PageRun     = "run"     // RunPage
	PageLocks   = "locks"   // LocksPage
	PageDrift   = "drift"   // Page of package templates/drift
	PageProblem = "problem" // ProblemPage
)

// HomePage lists the pull requests that weir knows, and says how weir is.
type HomePage struct {
	Pulls   []record.Record // in the order in which they are shown
	Health  []Health
	Version string
}

// Health is one thing that has to work.
type Health struct {
	Name string
	Tone string // good, bad, or wait: it works, but somebody should look
	Text string // what is wrong, or how it is; `code` in backticks
}

// PullPage is one pull request.
type PullPage struct {
	Record  record.Record
	Runs    map[string]record.Run // newest run of each project, by its id; those that are missing show no counts
	History []record.Entry        // its audit log, newest first
}

// RunPage is one run with its log.
type RunPage struct {
	Run     record.Run
	PullURL string // of the pull request at GitHub; "" where it is not known
	Text    string // the plan, where the run has made one
	Log     string // what it has printed so far

	// Live says that the run goes on. Then the page follows it at
	// /runs/ID/log?from=Offset, a stream of server-sent events: "log", with
	// the offset behind it as its id and a JSON string as its data, for
	// what was printed since, and "end" once the run has ended.
	Live   bool
	Offset int64 // how many bytes of the log Log holds
}

// LocksPage lists all locks.
type LocksPage struct {
	Locks  []LockRow
	Health []Health // what is not fine is shown
}

// LockRow is one lock.
type LockRow struct {
	Repo      string
	Dir       string
	Workspace string
	Owner     int // 0: nobody
	Since     time.Time
	Waiters   []int // in the order in which they are served

	// Who keeps it from its waiters while nobody owns it, by owning another
	// project with the same Terraform state; 0: nobody.
	HolderRepo string
	Holder     int
}

// ProblemPage says why there is no page.
type ProblemPage struct {
	Status int
	Title  string
	Text   string
}

// Pages renders HTML. It is safe for concurrent use.
type Pages struct {
	pages  map[string]*template.Template
	static fs.FS
}

// NewPages parses the pages. An error is a bug in a template.
func NewPages() (*Pages, error) {
	static, err := fs.Sub(staticFiles, "static")
	if err != nil {
		return nil, fmt.Errorf("static files: %w", err)
	}
	versions := map[string]string{}
	for _, name := range []string{"weir.css", "live.js"} {
		body, err := fs.ReadFile(static, name)
		if err != nil {
			return nil, fmt.Errorf("static files: %w", err)
		}
		sum := sha256.Sum256(body)
		versions[name] = hex.EncodeToString(sum[:6])
	}
	funcs := template.FuncMap{
		// A changed file has another address, so that it can be cached for ever.
		"static":    func(name string) string { return "/static/" + name + "?v=" + versions[name] },
		"short":     short,
		"when":      when,
		"stamp":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"took":      took,
		"words":     stateWords,
		"tone":      tone,
		"standing":  standing,
		"pullPath":  pullPath,
		"counts":    counts,
		"lines":     markdown.Coloured,
		"verb":      verb,
		"forcing":   forcing,
		"elsewhere": elsewhere.Groups,
		"show":      markdown.Printable,
		"line":      func(s string) string { return markdown.Line(s, 300) },
		"spans":     markdown.Spans,
		"starts":    starts,
		"frame":     frame,
		"capital":   capital,
		"count":     count,
	}
	p := &Pages{pages: map[string]*template.Template{}, static: static}
	for _, name := range []string{PageHome, PagePull, PageRun, PageLocks, PageDrift, PageProblem} {
		t, err := template.New(name).Funcs(funcs).ParseFS(pageFiles, "pages/layout.html.tmpl", "pages/"+name+".html.tmpl")
		if err != nil {
			return nil, fmt.Errorf("page %s: %w", name, err)
		}
		p.pages[name] = t
	}
	return p, nil
}

// Render writes a page. Where it fails nothing was written.
func (p *Pages) Render(w io.Writer, name string, data any) error {
	t := p.pages[name]
	if t == nil {
		return fmt.Errorf("render: there is no page %q", name)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name+".html.tmpl", data); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	return nil
}

// Static serves the style sheet and the script of the pages, at the paths
// under which they stand in the folder.
func (p *Pages) Static() http.Handler {
	files := http.FileServerFS(p.static)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "" || r.URL.Path == "/" {
			http.NotFound(w, r)
			return
		}
		if r.URL.Query().Has("v") {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		files.ServeHTTP(w, r)
	})
}

// frame is what the layout needs to know of a page.
func frame(title, current string) map[string]string {
	return map[string]string{"Title": title, "Current": current}
}

func when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05") + " UTC"
}

func took(r record.Run) string {
	if r.Started.IsZero() || r.Ended.IsZero() {
		return ""
	}
	return r.Ended.Sub(r.Started).Round(100 * time.Millisecond).String()
}

// starts says what starts an apply in a mode of the key apply.
func starts(m policy.Mode) string {
	switch m {
	case policy.OnApproval:
		return "as soon as it is approved"
	case policy.OnComment:
		return "when somebody comments `weir apply`"
	case policy.OnMerge:
		return "once it is merged"
	}
	return "not settled yet"
}

func pullPath(repo string, number int) string { return fmt.Sprintf("/pulls/%s/%d", repo, number) }

// tone is how a state looks: good, bad, busy, wait or calm. It is never the
// only thing that tells it.
func tone(s record.State) string {
	switch s {
	case record.Applied:
		return "good"
	case record.PlanFailed, record.ApplyFailed, record.Interrupted:
		return "bad"
	case record.Planning, record.Applying:
		return "busy"
	case record.Planned, record.Pending, record.Skipped:
		return "wait"
	}
	return "calm"
}

func counts(s *terraform.Summary) string {
	if s == nil {
		return ""
	}
	return future(s)
}

func verb(a terraform.Action) string {
	switch a {
	case terraform.Update:
		return "change"
	case terraform.Delete:
		return "destroy"
	case terraform.NoOp:
		return "move or import"
	}
	return string(a)
}

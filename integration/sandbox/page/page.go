// Package page is the small web page of the GitHub stand-in: to read pull
// requests, and to talk, push, approve and merge as any of its people.
//
// It needs no script. With one it follows what happens by itself.
package page

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"weir/integration/sandbox/people"
	"weir/integration/sandbox/record"
)

//go:embed assets
var assets embed.FS

// Page serves the web page.
type Page struct {
	People *people.People
	Log    *slog.Logger

	templates *template.Template
}

// Handler builds the routes. Requests that change something are refused from
// other origins.
func (p *Page) Handler() (http.Handler, error) {
	functions := template.FuncMap{"markdown": markdown, "patch": patch, "time": clock, "short": short, "first": firstLine, "path": url.PathEscape}
	var err error
	if p.templates, err = template.New("").Funcs(functions).ParseFS(assets, "assets/*.html"); err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(*visit) error{
		"GET /{$}":                                   p.home,
		"GET /{owner}/{repo}":                        p.repo,
		"GET /{owner}/{repo}/edit":                   p.edit,
		"POST /{owner}/{repo}/edit":                  p.push,
		"GET /{owner}/{repo}/pull/{number}":          p.pull,
		"POST /{owner}/{repo}/pull/{number}":         p.act,
		"GET /{owner}/{repo}/issues":                 p.issues,
		"POST /{owner}/{repo}/issues":                p.file,
		"GET /{owner}/{repo}/issues/{number}":        p.issue,
		"POST /{owner}/{repo}/issues/{number}":       p.act,
		"GET /{owner}/{repo}/runs/{id}":              p.check,
		"POST /{owner}/{repo}/runs/{id}":             p.press,
		"GET /{owner}/{repo}/tree/{branch}":          p.tree,
		"GET /{owner}/{repo}/pull/{number}/commits":  p.pull,
		"GET /{owner}/{repo}/issues/{number}/{rest}": p.issue,
		"POST /as": p.as,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, serve) })
	}
	mux.HandleFunc("GET /events", p.events)
	mux.HandleFunc("GET /avatars/{login}", avatar)
	for _, name := range []string{"style.css", "follow.js"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, assets, "assets/"+name)
		})
	}
	return http.NewCrossOriginProtection().Handler(secure(mux)), nil
}

// secure forbids what the page does not do: foreign code, and being framed.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' https: data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// visit is one request for a page by one of the people.
type visit struct {
	*http.Request
	w      http.ResponseWriter
	me     string // acting as
	full   string // repository
	number int
}

// frame is what every page shows.
type frame struct {
	Title   string
	Me      string
	People  []record.User
	Path    string
	Repo    string
	Problem string
	Page    any
}

func (p *Page) serve(w http.ResponseWriter, r *http.Request, serve func(*visit) error) {
	v := &visit{Request: r, w: w, me: p.who(r)}
	if owner := r.PathValue("owner"); owner != "" {
		v.full = owner + "/" + r.PathValue("repo")
		if repo, err := p.People.Repo(v.full); err == nil {
			v.full = repo.FullName()
		}
	}
	if n := r.PathValue("number"); n != "" {
		var err error
		if v.number, err = strconv.Atoi(n); err != nil {
			p.fail(v, record.NotFound())
			return
		}
	}
	if err := serve(v); err != nil {
		p.fail(v, err)
	}
}

// who is the person that the visitor acts as: the one chosen last. Until one
// is chosen it is the first who can push somewhere, so that there is something
// to do, or just the first that there is.
func (p *Page) who(r *http.Request) string {
	if c, err := r.Cookie("as"); err == nil {
		if u, found := p.People.Account(c.Value); found && u.Kind == record.KindUser {
			return u.Login
		}
	}
	all := p.People.Users()
	for _, repo := range p.People.Repos() {
		for _, u := range all {
			if role, err := p.People.Role(repo.FullName(), u.Login); err == nil && role.AtLeast("write") {
				return u.Login
			}
		}
	}
	if len(all) == 0 {
		return ""
	}
	return all[0].Login
}

// as changes who the visitor acts as.
func (p *Page) as(v *visit) error {
	http.SetCookie(v.w, &http.Cookie{Name: "as", Value: v.FormValue("login"), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return v.redirect(v.FormValue("back"))
}

// redirect goes to a page of this site.
func (v *visit) redirect(path string) error {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.Contains(path, `\`) {
		path = "/"
	}
	http.Redirect(v.w, v.Request, path, http.StatusSeeOther)
	return nil
}

func (p *Page) render(v *visit, name, title string, page any) error {
	return p.renderStatus(v, http.StatusOK, name, frame{Title: title, Page: page, Problem: v.URL.Query().Get("problem")})
}

func (p *Page) renderStatus(v *visit, status int, name string, f frame) error {
	f.Me, f.People, f.Path, f.Repo = v.me, p.People.Users(), v.URL.Path, v.full
	var out bytes.Buffer
	if err := p.templates.ExecuteTemplate(&out, name, f); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Set("Cache-Control", "no-store")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(out.Bytes()) // the visitor may be gone
	return nil
}

// sentence is what a refusal says to people.
func sentence(err error) string {
	var refused *record.Error
	if !errors.As(err, &refused) {
		return err.Error()
	}
	text := refused.Message
	for _, f := range refused.Fields {
		if f.Message != "" {
			text = f.Message
		} else if f.Field != "" {
			text += ": " + f.Field + " (" + f.Code + ")"
		}
	}
	return text
}

func (p *Page) fail(v *visit, err error) {
	status := http.StatusInternalServerError
	var refused *record.Error
	if errors.As(err, &refused) {
		status = refused.Status
	} else {
		p.Log.Error("sandbox page", "path", v.URL.Path, "error", err)
	}
	if err := p.renderStatus(v, status, "problem.html", frame{Title: http.StatusText(status), Page: sentence(err)}); err != nil {
		p.Log.Error("sandbox page", "error", err)
	}
}

// done goes back to a page after an action, with what was wrong with it.
func (v *visit) done(path, anchor string, err error) error {
	if err != nil {
		path, anchor = path+"?problem="+url.QueryEscape(sentence(err)), ""
	}
	return v.redirect(path + anchor)
}

// events tells the page's script of each change, at most three times a second.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	for {
		changed := p.People.Changed()
		if _, err := fmt.Fprint(w, "data: change\n\n"); err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
		pause := time.NewTimer(300 * time.Millisecond)
		select {
		case <-r.Context().Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// avatar draws the first letter of a login on a colour of its own.
func avatar(w http.ResponseWriter, r *http.Request) {
	login := r.PathValue("login")
	hue := 0
	for _, c := range login {
		hue = (hue*31 + int(c)) % 360
	}
	letter := "?"
	if c := login[0]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
		letter = strings.ToUpper(login[:1])
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "max-age=3600")
	_, _ = fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><rect width="40" height="40" rx="20" fill="hsl(%d 45%% 42%%)"/>`+
		`<text x="20" y="27" text-anchor="middle" font-family="sans-serif" font-size="20" fill="#fff">%s</text></svg>`, hue, letter)
}

func clock(t time.Time) template.HTML {
	if t.IsZero() {
		return ""
	}
	return template.HTML(t.UTC().Format(`<time datetime="2006-01-02T15:04:05Z">15:04:05</time>`))
}

func short(sha string) string { return sha[:min(7, len(sha))] }

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

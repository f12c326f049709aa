package github

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"weir/drift/finding"
)

// forge keeps Git's objects, branches and pull requests of a host.
type forge struct {
	*host
	objects map[string]map[string]any // by name
	refs    map[string]string
	pulls   []map[string]any
}

const base = "b000000000000000000000000000000000000000"

func newForge(h *host) *forge {
	k := &forge{host: h, refs: map[string]string{"heads/main": base}, objects: map[string]map[string]any{
		base: {"tree": map[string]any{"sha": "t0"}, "parents": []any{}, "message": "before", "by": "alice"},
	}}
	h.more = k.serve
	return k
}

// keep stores an object under a name that its content gives.
func (k *forge) keep(o map[string]any) string {
	data, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	sum := sha1.Sum(data)
	sha := hex.EncodeToString(sum[:])
	k.objects[sha] = o
	return sha
}

func (k *forge) commit(tree string, parent any, message, by string) string {
	return k.keep(map[string]any{
		"tree": map[string]any{"sha": tree}, "parents": []any{map[string]any{"sha": parent}}, "message": message, "by": by, "at": time.Now(),
	})
}

func (k *forge) serve(w http.ResponseWriter, r *http.Request, path string, body map[string]any) bool {
	key := r.Method + " " + path
	name, isRef := strings.CutPrefix(strings.Replace(path, "git/refs/", "git/ref/", 1), "git/ref/")
	switch {
	case key == "POST git/blobs", key == "POST git/trees":
		sha := k.keep(body)
		answer(w, http.StatusCreated, map[string]any{"sha": sha})
	case key == "POST git/commits":
		sha := k.commit(body["tree"].(string), seq(body["parents"])[0], body["message"].(string), k.self)
		answer(w, http.StatusCreated, map[string]any{"sha": sha})
	case strings.HasPrefix(key, "GET git/commits/"):
		answer(w, http.StatusOK, k.objects[strings.TrimPrefix(path, "git/commits/")])
	case strings.HasPrefix(key, "GET commits/") && strings.Count(path, "/") == 1:
		sha := strings.TrimPrefix(path, "commits/")
		c := k.objects[sha]
		kind := "User"
		if strings.HasSuffix(c["by"].(string), "[bot]") {
			kind = "Bot"
		}
		answer(w, http.StatusOK, map[string]any{
			"sha": sha, "parents": c["parents"], "commit": c, "author": map[string]any{"login": c["by"], "type": kind},
		})
	case key == "POST git/refs":
		name := strings.TrimPrefix(body["ref"].(string), "refs/")
		if k.refs[name] != "" {
			refuse(w, http.StatusUnprocessableEntity, "Reference already exists")
			return true
		}
		k.refs[name] = body["sha"].(string)
		answer(w, http.StatusCreated, map[string]any{"ref": body["ref"]})
	case isRef && r.Method == http.MethodGet && k.refs[name] == "":
		refuse(w, http.StatusNotFound, "Not Found")
	case isRef && r.Method == http.MethodPatch:
		if body["force"] != true {
			refuse(w, http.StatusUnprocessableEntity, "Update is not a fast forward")
			return true
		}
		k.refs[name] = body["sha"].(string)
		answer(w, http.StatusOK, map[string]any{"ref": "refs/" + name})
	case isRef:
		answer(w, http.StatusOK, map[string]any{"ref": "refs/" + name, "object": map[string]any{"sha": k.refs[name]}})
	case key == "GET pulls":
		open := slices.DeleteFunc(slices.Clone(k.pulls), func(p map[string]any) bool { return p["state"] != "open" })
		if r.URL.Query().Get("head") != "acme:weir/drift/prod" || r.URL.Query().Get("base") != "main" {
			open = nil
		}
		page(w, r, open, func(p []map[string]any) any { return p })
	case key == "POST pulls":
		k.pulls = append(k.pulls, map[string]any{
			"number": len(k.pulls) + 1, "state": "open", "title": body["title"], "body": body["body"], "html_url": fmt.Sprintf("https://github.example/acme/app/pull/%d", len(k.pulls)+1),
			"head": map[string]any{"ref": body["head"], "repo": map[string]any{"id": 5}}, "base": map[string]any{"ref": body["base"], "repo": map[string]any{"id": 5}},
		})
		answer(w, http.StatusCreated, k.pulls[len(k.pulls)-1])
	case strings.HasPrefix(key, "PATCH pulls/"):
		p := k.pulls[int(path[len("pulls/")]-'1')]
		maps.Copy(p, body)
		answer(w, http.StatusOK, p)
	default:
		return false
	}
	return true
}

// writes are the calls since the last time that change something.
func (k *forge) writes() string {
	var s []string
	for _, c := range k.called() {
		if !strings.HasPrefix(c, "GET ") && !strings.Contains(c, "/app/") {
			s = append(s, c)
		}
	}
	return strings.Join(s, ", ")
}

func change() finding.Branch {
	return finding.Branch{
		Name: "weir/drift/prod", Base: "main", Commit: base, Message: "Adopt", Title: "Adopt drift of prod", Body: "It drifted.",
		Files: map[string][]byte{"prod/main.tf": []byte("# ü\n"), "prod/old.tf": nil, "prod/empty.tf": {}, "prod/x.bin": {0, 0xff}},
	}
}

func TestPropose(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g, k := asApp(t, h), newForge(h)
		got, err := g.Propose(ctx, "acme/app", change())
		if err != nil {
			t.Fatal(err)
		}
		head := k.refs["heads/weir/drift/prod"]
		if d := gocmp.Diff(finding.Proposed{Number: 1, URL: "https://github.example/acme/app/pull/1", Head: head}, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		c := k.objects[head]
		blob := k.keep(map[string]any{"content": "AP8=", "encoding": "base64"})
		file := func(path, key string, value any) any {
			return map[string]any{"path": path, "mode": "100644", "type": "blob", key: value}
		}
		want := map[string]any{"base_tree": "t0", "tree": []any{
			file("prod/empty.tf", "content", ""), file("prod/main.tf", "content", "# ü\n"), file("prod/old.tf", "sha", nil), file("prod/x.bin", "sha", blob),
		}}
		if d := gocmp.Diff(want, k.objects[obj(c["tree"])["sha"].(string)]); d != "" {
			t.Errorf("tree (-want +got):\n%s", d)
		}
		if parent := obj(seq(c["parents"])[0])["sha"]; parent != base || c["message"] != "Adopt" {
			t.Errorf("commit %v", c)
		}
		k.writes()

		// Later the same: what is there is left as it is.
		<-time.After(time.Minute)
		if again, err := g.Propose(ctx, "acme/app", change()); err != nil || again != got {
			t.Errorf("again: %+v, %v", again, err)
		}
		if w := k.writes(); w != "POST git/blobs, POST git/trees" {
			t.Errorf("again it wrote %s", w)
		}

		// Another change moves the branch, and tells on the pull request.
		b := change()
		b.Files, b.Body = nil, "It drifted again."
		moved, err := g.Propose(ctx, "acme/app", b)
		if err != nil || moved.Number != 1 || moved.Head == got.Head || k.refs["heads/weir/drift/prod"] != moved.Head || k.pulls[0]["body"] != b.Body {
			t.Errorf("moved: %+v, %v, pull request %v", moved, err, k.pulls[0])
		}
		if w := k.writes(); w != "POST git/commits, PATCH git/refs/heads/weir/drift/prod, PATCH pulls/1" {
			t.Errorf("to move it wrote %s", w)
		}
		if tree := obj(k.objects[moved.Head]["tree"])["sha"]; tree != "t0" {
			t.Errorf("without files the tree is %v, want the old one", tree)
		}

		// One that was closed is not opened again.
		k.pulls[0]["state"] = "closed"
		if next, err := g.Propose(ctx, "acme/app", b); err != nil || next.Number != 2 || next.Head != moved.Head {
			t.Errorf("after it was closed: %+v, %v", next, err)
		}
	})
}

// TestI5_OneProposal proposes while the connection breaks at each write, before
// and after it had its effect.
func TestI5_OneProposal(t *testing.T) {
	for _, write := range []string{"POST git/blobs", "POST git/trees", "POST git/commits", "POST git/refs", "POST pulls"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(write, after), func(t *testing.T) {
				apart(t, func(t *testing.T, ctx context.Context, h *host) {
					g, k := asApp(t, h), newForge(h)
					broken := false
					h.fault = func(r *http.Request) *fault {
						if broken || r.Method+" "+strings.TrimPrefix(r.URL.Path, "/repos/acme/app/") != write {
							return nil
						}
						broken = true
						return &fault{after: after}
					}
					got, err := g.Propose(ctx, "acme/app", change())
					if err != nil || len(k.pulls) != 1 || got.Number != 1 || k.refs["heads/weir/drift/prod"] != got.Head || !broken {
						t.Errorf("%+v, %v, %d pull requests, branch at %s", got, err, len(k.pulls), k.refs["heads/weir/drift/prod"])
					}
				})
			})
		}
	}
}

func TestOthersWorkIsNotMoved(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g, k := asApp(t, h), newForge(h)
		first, err := g.Propose(ctx, "acme/app", change())
		if err != nil {
			t.Fatal(err)
		}
		alices := k.commit("t1", first.Head, "By hand", "alice")
		k.refs["heads/weir/drift/prod"] = alices
		k.writes()
		_, err = g.Propose(ctx, "acme/app", change())
		var taken *TakenError
		if !errors.As(err, &taken) || *taken != (TakenError{Repo: "acme/app", Branch: "weir/drift/prod", Commit: alices, By: "alice"}) {
			t.Errorf("got %v, want a TakenError", err)
		}
		if w := k.writes(); k.refs["heads/weir/drift/prod"] != alices || strings.Contains(w, "refs") || strings.Contains(w, "pulls") {
			t.Errorf("it wrote %s", w)
		}
	})
}

func TestProposalsThatAreRefused(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g, k := asApp(t, h), newForge(h)
		for _, name := range []string{"main", "", "weir", "weirder/x"} {
			b := change()
			if b.Name = name; name == "weir" {
				b.Name = "weir/../main"
			}
			if _, err := g.Propose(ctx, "acme/app", b); err == nil {
				t.Errorf("branch %q: no error", b.Name)
			}
		}
		for _, path := range []string{"", ".", "/etc/passwd", "../x", "a/../b", ".git/config", "a/.GIT/hooks/x"} {
			b := change()
			b.Files = map[string][]byte{path: []byte("x")}
			if _, err := g.Propose(ctx, "acme/app", b); err == nil {
				t.Errorf("file %q: no error", path)
			}
		}
		if w := k.writes(); strings.Contains(w, "refs") || len(k.pulls) != 0 {
			t.Errorf("it wrote %s", w)
		}
	})
}

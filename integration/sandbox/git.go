package sandbox

import (
	"errors"
	"net/http"
	"strings"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/hub"
	"weir/integration/sandbox/record"
)

// gitServices are the requests of smart HTTP.
var gitServices = []string{"/info/refs", "/git-upload-pack", "/git-receive-pack"}

// gitRoute is the pattern of a Git request, "" for any other.
func gitRoute(r *http.Request) string {
	for _, service := range gitServices {
		if rest, ok := strings.CutSuffix(r.URL.Path, service); ok && strings.Count(rest, "/") == 2 {
			return "/{owner}/{repo}.git" + service
		}
	}
	return ""
}

// serveGit checks credentials as GitHub does: 401 to nobody, 404 to somebody
// who may not know that the repository exists.
func (s *Sandbox) serveGit(w http.ResponseWriter, r *http.Request) {
	at := strings.LastIndex(strings.TrimSuffix(r.URL.Path, "/info/refs"), "/")
	if strings.HasSuffix(r.URL.Path, "/info/refs") {
		at = len(r.URL.Path) - len("/info/refs")
	}
	full := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path[:at], "/"), ".git")
	push := strings.HasSuffix(r.URL.Path, "/git-receive-pack") || r.URL.Query().Get("service") == "git-receive-pack"
	who, err := s.Authenticate(r.Header.Get("Authorization"))
	repo, missing := s.Repo(full)
	need := hub.Need{Area: "contents", Level: "read", Role: "read"}
	if push {
		need = hub.Need{Area: "contents", Level: "write", Role: "write"}
	}
	if err != nil || who.Kind == account.Anonymous && (push || missing != nil || repo.Private) {
		w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		http.Error(w, "Invalid username or token.", http.StatusUnauthorized)
		return
	}
	if err := s.Allow(who, full, need); err != nil {
		var refused *record.Error
		if errors.As(err, &refused) && refused.Status == http.StatusForbidden {
			http.Error(w, "Write access to repository not granted.", http.StatusForbidden)
			return
		}
		http.Error(w, "Repository not found.", http.StatusNotFound)
		return
	}
	r = r.Clone(r.Context())
	r.URL.Path = "/" + repo.FullName() + ".git" + r.URL.Path[at:]
	user := ""
	if push {
		user = who.User.Login
	}
	s.git.Serve(w, r, user)
	if push && r.Method == http.MethodPost {
		if err := s.SyncRefs(full, who.User); err != nil {
			s.log.Error("after a push", "repo", full, "error", err)
		}
	}
}

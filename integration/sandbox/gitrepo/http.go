package gitrepo

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"path/filepath"
	"strconv"
)

// maxPush bounds a pushed pack, which is held in memory.
const maxPush = 256 << 20

// Backend serves the repositories below Root by `git http-backend`. It checks
// no credentials: that is for whoever calls it.
type Backend struct {
	Root string
	Log  *slog.Logger // what git complains of
	git  string
}

// NewBackend finds git.
func NewBackend(root string, logger *slog.Logger) (*Backend, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("serve repositories: %w", err)
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("serve repositories: %w", err)
	}
	return &Backend{Root: abs, Log: logger, git: git}, nil
}

// Serve answers one request for /OWNER/NAME.git/…; user is who pushes, "" for
// a request that may not push.
func (b *Backend) Serve(w http.ResponseWriter, r *http.Request, user string) {
	if r.ContentLength < 0 {
		// CGI needs a length, and git sends chunks from 1 MiB on.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPush))
		if err != nil {
			http.Error(w, "the pack is too large", http.StatusRequestEntityTooLarge)
			return
		}
		r = r.Clone(r.Context())
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	env := append(environment(), "GIT_PROJECT_ROOT="+b.Root, "GIT_HTTP_EXPORT_ALL=1",
		// Without a user the backend refuses to receive.
		"REMOTE_USER="+user)
	if p := r.Header.Get("Git-Protocol"); p != "" {
		env = append(env, "GIT_PROTOCOL="+p)
	}
	logger := slog.NewLogLogger(b.Log.Handler(), slog.LevelDebug)
	handler := &cgi.Handler{Path: b.git, Args: []string{"http-backend"}, Dir: b.Root, Env: env, Logger: logger, Stderr: logger.Writer()}
	handler.ServeHTTP(w, r)
}

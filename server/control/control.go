// Package control lets a person on the server's machine ask something of a
// running weir: whoever can read its data directory. weir listens on the
// loopback interface, on a port and with a secret that are in a file there.
package control

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// File is the name of the file in the data directory.
const File = "control.json"

// place is what is in the file.
type place struct {
	Address string `json:"address"`
	Secret  string `json:"secret"`
}

// Request asks for a drift check.
type Request struct {
	Repo      string `json:"repo"`
	Dir       string `json:"dir,omitempty"`
	Workspace string `json:"workspace,omitempty"`
	Project   string `json:"project,omitempty"`
}

// maxRequest bounds what is read of a request or an answer.
const maxRequest = 64 << 10

// Serve answers requests until ctx ends. check says what came of a request, in
// words, or an error that is the asker's mistake.
func Serve(ctx context.Context, dir string, check func(context.Context, Request) (string, error)) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	at := place{Address: listener.Addr().String(), Secret: rand.Text()}
	if err := write(filepath.Join(dir, File), at); err != nil {
		return errors.Join(fmt.Errorf("control: %w", err), listener.Close())
	}
	server := &http.Server{ReadTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+at.Secret)) != 1 || r.Method != http.MethodPost {
			http.Error(w, "this is for weir's own command line", http.StatusForbidden)
			return
		}
		var asked Request
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
		d.DisallowUnknownFields()
		if err := d.Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		said, err := check(r.Context(), asked)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		_, _ = fmt.Fprintln(w, said) // who went away has no use for it
	})}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}

// write puts the file there for this user alone, as a whole.
func write(file string, at place) error {
	body, err := json.Marshal(at) // #nosec G117 -- into a file that this user alone can read
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", body, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// Ask asks the weir that runs with a data directory.
func Ask(ctx context.Context, dir string, asked Request) (string, error) {
	body, err := os.ReadFile(filepath.Join(dir, File)) // #nosec G304 -- the data directory is given by whoever runs this
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no weir has run with the data directory %s; give the right one with --data-dir", dir)
	}
	if err != nil {
		return "", err
	}
	var at place
	if err := json.Unmarshal(body, &at); err != nil {
		return "", fmt.Errorf("read %s: %w", File, err)
	}
	if body, err = json.Marshal(asked); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+at.Address+"/", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+at.Secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("weir does not answer; does it run? %w", err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxRequest))
	text := string(bytes.TrimSpace(said))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(text)
	}
	return text, err
}

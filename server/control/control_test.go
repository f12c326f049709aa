package control

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWhoCanReadTheFileIsAnswered(t *testing.T) {
	dir := t.TempDir()
	if _, err := Ask(t.Context(), dir, Request{}); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("without a weir: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, dir, func(_ context.Context, asked Request) (string, error) {
			if asked.Repo == "" {
				return "", errors.New("which repository?")
			}
			return "checks " + asked.Repo + " " + asked.Dir, nil
		})
	}()
	var info os.FileInfo
	for {
		var err error
		if info, err = os.Stat(filepath.Join(dir, File)); err == nil {
			break
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file can be read by others: %v", info.Mode())
	}
	if said, err := Ask(t.Context(), dir, Request{Repo: "acme/app", Dir: "prod"}); err != nil || said != "checks acme/app prod" {
		t.Errorf("got %q, %v", said, err)
	}
	if _, err := Ask(t.Context(), dir, Request{}); err == nil || err.Error() != "which repository?" {
		t.Errorf("a mistake: %v", err)
	}

	// Without the secret nothing is done.
	body, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(body), `"address":"`)
	address, _, _ := strings.Cut(rest, `"`)
	resp, err := http.Post("http://"+address, "application/json", strings.NewReader(`{"repo":"acme/app"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("status %d without the secret", resp.StatusCode)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := Ask(t.Context(), dir, Request{Repo: "acme/app"}); err == nil {
		t.Error("a weir that has ended: no error")
	}
}

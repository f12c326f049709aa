package checkout

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestLFS runs with git-lfs where it is installed, and else with a stand-in
// that speaks the same protocols.
func TestLFS(t *testing.T) {
	if _, err := exec.LookPath("git-lfs"); err != nil {
		t.Log("git-lfs is not installed: this runs with a stand-in")
		bin := t.TempDir()
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		script := "#!/bin/sh\nCHECKOUT_CHILD=1 exec " + exe + " \"$@\"\n"
		if err := os.WriteFile(filepath.Join(bin, "git-lfs"), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	}
	h := newHub(t, token)
	u := h.repo("acme/app")
	objects := map[string]string{}
	pointer := func(content string) string {
		sum := sha256.Sum256([]byte(content))
		id := hex.EncodeToString(sum[:])
		objects[id] = content
		return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", id, len(content))
	}
	one, two := pointer("the first"), pointer("the second")
	missing := pointer("nobody has it")
	for id, content := range objects {
		if strings.HasPrefix(content, "nobody") {
			delete(objects, id)
		}
	}
	h.intercept(func(w http.ResponseWriter, q *http.Request) bool { return serveLFS(t, w, q, u, objects) })

	const attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
	base := u.commit("main", "", tree{
		".gitattributes": attributes, "a.bin": one, "a.txt": one,
		".lfsconfig": "[lfs]\nurl = https://evil.example.com/\n",
	})
	head := u.commit("change", base, tree{"b.bin": two})
	r := newRepos(t, token)
	req := u.request(1, head)
	req.LFS = true
	co := open(t, r, req)
	got := content(t, co.Root)
	diff(t, "files", []string{"the first", "the second", one}, []string{got["a.bin"], got["b.bin"], got["a.txt"]})
	leaksBelow(t, r.Dir)

	req.LFS = false
	open(t, r, req)
	got = content(t, co.Root)
	diff(t, "files without LFS", []string{one, two}, []string{got["a.bin"], got["b.bin"]})

	req.LFS, req.Head = true, u.commit("change", head, tree{"b.bin": missing})
	if _, err := r.Open(t.Context(), req); err == nil || leaks(err.Error()) {
		t.Errorf("a file that nobody has: got %v", err)
	}
	leaksBelow(t, r.Dir)
	req.Head = head
	open(t, r, req)
	got = content(t, co.Root)
	diff(t, "files after a failure", []string{"the first", "the second"}, []string{got["a.bin"], got["b.bin"]})
}

// serveLFS answers as the Git LFS API's batch endpoint and a store behind it.
func serveLFS(t *testing.T, w http.ResponseWriter, q *http.Request, u upstream, objects map[string]string) bool {
	if id, ok := strings.CutPrefix(q.URL.Path, "/lfs-store/"); ok {
		if leaks(q.Header.Get("Authorization")) {
			t.Error("the store was given the token")
		}
		_, _ = io.WriteString(w, objects[id])
		return true
	}
	if q.URL.Path != "/acme/app.git/info/lfs/objects/batch" {
		return false
	}
	if _, password, _ := q.BasicAuth(); password != token {
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	type object struct {
		OID     string         `json:"oid"`
		Size    int            `json:"size"`
		Actions map[string]any `json:"actions,omitempty"`
		Error   map[string]any `json:"error,omitempty"`
	}
	var batch struct {
		Transfer string   `json:"transfer,omitempty"`
		Objects  []object `json:"objects"`
	}
	if err := json.NewDecoder(q.Body).Decode(&batch); err != nil {
		t.Error(err)
	}
	for i, o := range batch.Objects {
		if _, ok := objects[o.OID]; !ok {
			batch.Objects[i].Error = map[string]any{"code": 404, "message": "not here"}
			continue
		}
		batch.Objects[i].Actions = map[string]any{"download": map[string]any{"href": u.url + "/lfs-store/" + o.OID}}
	}
	batch.Transfer = "basic"
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	if err := json.NewEncoder(w).Encode(batch); err != nil {
		t.Error(err)
	}
	return true
}

// standInLFS is git-lfs filter-process: the long running filter of
// gitattributes(5) in front of the API that serveLFS answers.
func standInLFS() error {
	git := func(args ...string) string {
		out, _ := exec.Command("git", args...).Output() // none is empty
		return strings.TrimSpace(string(out))
	}
	url := git("config", "lfs.url")
	header := git("config", "--get-urlmatch", "http.extraHeader", url)
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	read := func() (lines []string, err error) { // up to a flush
		for {
			size := make([]byte, 4)
			if _, err := io.ReadFull(in, size); err != nil {
				return nil, err
			}
			n, err := strconv.ParseUint(string(size), 16, 16)
			if err != nil || n == 0 {
				return lines, err
			}
			data := make([]byte, n-4)
			if _, err := io.ReadFull(in, data); err != nil {
				return nil, err
			}
			lines = append(lines, string(data))
		}
	}
	write := func(lines ...string) {
		for _, l := range lines {
			fmt.Fprintf(out, "%04x%s", len(l)+4, l)
		}
		fmt.Fprint(out, "0000")
		_ = out.Flush() // git is gone then, which the next read tells
	}
	for _, answer := range [][]string{{"git-filter-server\n", "version=2\n"}, {"capability=smudge\n", "capability=clean\n"}} {
		if _, err := read(); err != nil {
			return err
		}
		write(answer...)
	}
	for {
		if _, err := read(); errors.Is(err, io.EOF) { // command and pathname
			return nil
		} else if err != nil {
			return err
		}
		content, err := read()
		if err != nil {
			return err
		}
		file, err := standInDownload(url, header, strings.Join(content, ""))
		if err != nil {
			write("status=error\n")
			continue
		}
		write("status=success\n")
		write(file)
		write()
	}
}

func standInDownload(url, header, pointer string) (string, error) {
	_, rest, ok := strings.Cut(pointer, "oid sha256:")
	if !ok || len(rest) < 64 {
		return pointer, nil
	}
	body, err := json.Marshal(map[string]any{"operation": "download", "objects": []any{map[string]any{"oid": rest[:64], "size": 1}}})
	if err != nil {
		return "", err
	}
	q, err := http.NewRequest(http.MethodPost, url+"/objects/batch", bytes.NewReader(body)) // it ends with git
	if err != nil {
		return "", err
	}
	key, value, _ := strings.Cut(header, ": ")
	q.Header.Set(key, value)
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close() // read to its end
	var batch struct {
		Objects []struct {
			Actions struct{ Download struct{ Href string } }
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&batch); err != nil {
		return "", err
	}
	if len(batch.Objects) != 1 || batch.Objects[0].Actions.Download.Href == "" {
		return "", errors.New("no such object")
	}
	file, err := http.Get(batch.Objects[0].Actions.Download.Href) // a test's server
	if err != nil {
		return "", err
	}
	defer file.Body.Close() // read to its end
	data, err := io.ReadAll(file.Body)
	return string(data), err
}

package terraform

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"weir/planner/terraform/source"
)

// record remembers, in the data directory, what it was initialised for. There
// is none while an init runs or after one that failed.
type record struct {
	Fingerprint string `json:"fingerprint"`
	Before      []byte `json:"before,omitempty"` // the lock file as committed; empty: none
	After       []byte `json:"after,omitempty"`  // as init left it
}

type initOptions struct {
	force    bool   // terraform asked for it
	planFile string // apply: keep to the providers that this plan was made with
}

func (p *project) recordPath() string { return filepath.Join(p.target.DataDir, "weir-init.json") }

// initialise makes the data directory fit for the checkout, with an init if
// the one it remembers was for something else. Where the lock file is not
// committed, the one that terraform wrote first is put into each checkout.
func (p *project) initialise(ctx context.Context, o initOptions) (*Failure, error) {
	if !o.force && !p.source.NeedsInit() {
		return nil, nil
	}
	release, err := p.runner.hold(ctx, "init "+p.dir)
	if err != nil {
		return nil, err
	}
	defer release()

	lock := p.lockFile()
	p.lockBefore = lock
	lockPath := filepath.Join(p.dir, source.LockName)
	if written, ok := p.runner.generated.Load(lockPath); ok && written == string(lock) {
		p.lockBefore = nil
	}
	if o.planFile != "" {
		if planned := plannedLock(o.planFile); len(source.LockedProviders(planned)) > 0 && !source.SameLock(planned, lock) {
			if err := writeFile(lockPath, planned, 0o644); err != nil {
				return nil, fmt.Errorf("write lock file: %w", err)
			}
			lock = planned
		}
	}
	fingerprint := p.fingerprint()
	known := p.readRecord()
	if !o.force && !p.source.Volatile && known.Fingerprint == fingerprint && (source.SameLock(lock, known.Before) || source.SameLock(lock, known.After)) {
		if len(lock) == 0 && len(known.After) > 0 {
			return nil, p.generate(lockPath, known.After)
		}
		if !source.SameLock(lock, known.After) {
			if err := writeFile(lockPath, known.After, 0o644); err != nil {
				return nil, fmt.Errorf("complete lock file: %w", err)
			}
		}
		return nil, nil
	}

	// The rest of an earlier backend would make init want to migrate state,
	// which is nobody's intention here.
	for _, name := range []string{filepath.Base(p.recordPath()), "terraform.tfstate", "environment"} {
		if err := os.Remove(filepath.Join(p.target.DataDir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("prepare init: %w", err)
		}
	}
	if p.mayDownload(lock) {
		p.end() // a check may hold it, and wait for a place
		release, err := p.runner.holdCache(ctx)
		p.begin()
		if err != nil {
			return nil, err
		}
		defer release()
	}
	ended, err := p.run(ctx, p.initCommand(o.planFile != "" && len(lock) > 0), io.Discard, false)
	if err != nil {
		return nil, err
	}
	if ended.Code != 0 {
		return p.failure("init", ended), nil
	}
	after := p.lockFile()
	if len(p.lockBefore) == 0 && len(after) > 0 {
		p.runner.generated.Store(lockPath, string(after))
	}
	if p.runner.CacheDir != "" && len(after) > 0 {
		if err := writeFile(p.cached(after), nil, 0o600); err != nil {
			return nil, fmt.Errorf("remember provider cache: %w", err)
		}
	}
	if err := writeJSON(p.recordPath(), record{Fingerprint: fingerprint, Before: p.lockBefore, After: after}); err != nil {
		return nil, fmt.Errorf("remember init: %w", err)
	}
	return nil, nil
}

// generate puts a lock file into a checkout that has none.
func (p *project) generate(path string, content []byte) error {
	if err := writeFile(path, content, 0o644); err != nil {
		return fmt.Errorf("write lock file: %w", err)
	}
	p.runner.generated.Store(path, string(content))
	return nil
}

func (p *project) fingerprint() string {
	return source.Sum("1", p.binary.identity, p.source.Fingerprint(), p.target.Workspace, p.runner.CacheDir)
}

// readRecord returns the zero record where there is none to be trusted.
func (p *project) readRecord() record {
	var known record
	content, err := os.ReadFile(p.recordPath())
	if err != nil || json.Unmarshal(content, &known) != nil {
		return record{}
	}
	return known
}

// lockFile is the directory's lock file; nil: none.
func (p *project) lockFile() []byte {
	content, err := os.ReadFile(filepath.Join(p.dir, source.LockName))
	if err != nil {
		return nil // terraform says what is wrong with it
	}
	return content
}

// plannedLock is the lock file within a plan file; nil where it cannot be
// read, such as from an encrypted one.
func plannedLock(planFile string) []byte {
	archive, err := zip.OpenReader(planFile)
	if err != nil {
		return nil
	}
	defer func() { _ = archive.Close() }() // only read from
	f, err := archive.Open(source.LockName)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // only read from
	content, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil
	}
	return content
}

// mayDownload says whether an init may write to the provider cache. It does
// not if all providers are locked, and an init with the same lock file has
// been through this cache.
func (p *project) mayDownload(lock []byte) bool {
	if p.runner.CacheDir == "" || p.source.OnlyBuiltin() {
		return false
	}
	if p.source.Downloads || p.source.Volatile || len(lock) == 0 {
		return true
	}
	locked := slices.Collect(maps.Keys(source.LockedProviders(lock)))
	for want := range p.source.Wants {
		if !slices.ContainsFunc(locked, func(source string) bool {
			return source == want || strings.HasSuffix(source, "/"+want)
		}) {
			return true
		}
	}
	_, err := os.Stat(p.cached(lock))
	return err != nil
}

// cached is the file that says that the cache holds what the lock file names.
func (p *project) cached(lock []byte) string {
	return filepath.Join(p.runner.CacheDir, ".weir-"+source.Sum(source.LockLines(lock)...)[:32])
}

// holdCache makes the caller the only one that writes to the provider cache,
// in this process and among those that share the directory: terraform unpacks
// providers in place and does not lock.
func (r *Runner) holdCache(ctx context.Context) (func(), error) {
	release, err := r.hold(ctx, "provider cache")
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(r.CacheDir, ".weir-lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		release()
		return nil, fmt.Errorf("lock provider cache: %w", err)
	}
	done := func() {
		_ = f.Close() // gives the lock back; nothing was written
		release()
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return done, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			done()
			return nil, fmt.Errorf("lock provider cache: %w", err)
		}
		select {
		case <-ctx.Done():
			done()
			return nil, fmt.Errorf("wait for the provider cache: %w", context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// downloaded is the hash of the files of all downloaded modules in use; ""
// where there are none.
func (p *project) downloaded() (string, error) {
	if !p.source.Downloads {
		return "", nil
	}
	all := filepath.Join(p.target.DataDir, "modules")
	content, err := os.ReadFile(filepath.Join(all, "modules.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read downloaded modules: %w", err)
	}
	var manifest struct{ Modules []struct{ Dir string } }
	if err := json.Unmarshal(content, &manifest); err != nil {
		return "", fmt.Errorf("read downloaded modules: %w", err)
	}
	packages := map[string]bool{}
	for _, module := range manifest.Modules {
		dir := module.Dir
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(p.dir, dir)
		}
		if rel, err := filepath.Rel(all, dir); err == nil && filepath.IsLocal(rel) && rel != "." {
			name, _, _ := strings.Cut(rel, string(filepath.Separator))
			packages[name] = true
		}
	}
	var files []string
	for _, name := range sortedKeys(packages) {
		err := filepath.WalkDir(filepath.Join(all, name), func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && entry.Name() == ".git":
				return fs.SkipDir
			case entry.IsDir():
				return nil
			}
			rel, err := filepath.Rel(all, path)
			if err != nil {
				return err
			}
			sum, err := hashFile(path, entry)
			files = append(files, rel, sum)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("read downloaded module %s: %w", name, err)
		}
	}
	return source.Sum(files...), nil
}

func hashFile(path string, entry fs.DirEntry) (string, error) {
	if entry.Type()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		return "link to " + target, err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // only read from
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

var asks = []string{
	"backend initialization required", "backend configuration changed", "module not installed",
	"module source has changed", "module version requirements have changed", "required plugins are not installed",
	"inconsistent dependency lock file", "plugin reinitialization required", "missing required provider",
	"provider requirements cannot be satisfied", `run "terraform init"`, `run "tofu init"`, "run: terraform init", "run: tofu init",
}

// asksForInit says whether terraform refused to work before an init.
func asksForInit(stderr string) bool {
	text := strings.ToLower(unwrap(stderr))
	return slices.ContainsFunc(asks, func(phrase string) bool { return strings.Contains(text, phrase) })
}

// unwrap undoes terraform's line breaks.
func unwrap(text string) string { return string(bytes.Join(bytes.Fields([]byte(text)), []byte(" "))) }

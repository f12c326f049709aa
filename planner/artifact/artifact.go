// Package artifact keeps plan files and logs, sealed, under the digest of
// what they hold.
//
// An artifact belongs to one pull request (its Scope) and is named by the
// SHA-256 of its content. At rest it is encrypted with a key of its own, which
// in turn is sealed with the server's key (see seal.go for the format); the
// seal also binds scope and digest, so that one artifact cannot be put in the
// place of another. What comes back is what was put, or an error.
//
// An artifact is written completely or not at all, but not forced to the disk:
// after a power loss one may be missing or damaged, which is noticed when it
// is read, and costs a new plan.
package artifact

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	"gocloud.dev/secrets"
)

// Config says where artifacts are kept and what seals them.
type Config struct {
	// Bucket is file://DIR (file://./DIR for a path relative to the working
	// directory) or s3://NAME?region=….
	Bucket string
	// SealKey is file://PATH of 32 random bytes, made on first use, or
	// awskms://KEY?region=….
	SealKey string
	Log     *slog.Logger // nil: nothing is logged
}

// Artifacts is a bucket of sealed artifacts. Its methods may be called at the
// same time, also by several processes on one bucket.
type Artifacts struct {
	bucket *blob.Bucket
	keeper *secrets.Keeper
	local  bool // the keeper needs nobody: what it cannot open is damaged
	log    *slog.Logger

	// patience is how long one artifact may take. S3 and KMS may take a
	// request and never answer; whoever waits would wait for ever.
	patience time.Duration
}

// Scope is the pull request that an artifact belongs to.
type Scope struct {
	Repo string // owner/name, as GitHub spells it
	Pull int    // 0: none, such as a merge group
}

// NotFoundError says that there is no such artifact.
type NotFoundError struct {
	Scope  Scope
	Digest string
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("no artifact %s of %s", short(e.Digest), e.Scope)
}

// DamagedError says that what is stored is not what was put: it was changed,
// cut, sealed with another key, or belongs to another scope or digest.
type DamagedError struct {
	Scope  Scope
	Digest string
	Reason string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("artifact %s of %s is damaged: %s", short(e.Digest), e.Scope, e.Reason)
}

func (s Scope) String() string { return s.Repo + "#" + strconv.Itoa(s.Pull) }

// repoName holds one half of a repository's name, as GitHub allows it. It is
// also what makes a key safe as a path.
var (
	repoName   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// prefix returns what the keys of exactly this scope begin with.
func (s Scope) prefix() (string, error) {
	owner, name, ok := strings.Cut(s.Repo, "/")
	for _, part := range []string{owner, name} {
		if !ok || !repoName.MatchString(part) || part == "." || part == ".." {
			return "", fmt.Errorf("artifact: %q is not the name of a repository", s.Repo)
		}
	}
	if s.Pull < 0 {
		return "", fmt.Errorf("artifact: %d is not the number of a pull request", s.Pull)
	}
	return owner + "/" + name + "/" + strconv.Itoa(s.Pull) + "/", nil
}

// key returns where an artifact is kept: OWNER/NAME/NUMBER/DIGEST.
func (s Scope) key(digest string) (string, error) {
	p, err := s.prefix()
	if err != nil {
		return "", err
	}
	if !digestForm.MatchString(digest) {
		return "", fmt.Errorf("artifact: %q is not a digest", short(digest))
	}
	return p + digest, nil
}

// Put stores data and returns its digest: SHA-256, in lower-case hex. Putting
// the same data again replaces it by itself.
func (a *Artifacts) Put(ctx context.Context, s Scope, data []byte) (string, error) {
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	if err := a.put(ctx, s, digest, bytes.NewReader(data)); err != nil {
		return "", fmt.Errorf("put artifact of %s: %w", s, err)
	}
	return digest, nil
}

// PutFile stores what a file holds and returns its digest. The file is read
// twice and never held in memory; one that changes meanwhile is an error.
func (a *Artifacts) PutFile(ctx context.Context, s Scope, path string) (string, error) {
	digest, err := a.putFile(ctx, s, path)
	if err != nil {
		return "", fmt.Errorf("put artifact %s of %s: %w", path, s, err)
	}
	return digest, nil
}

func (a *Artifacts) putFile(ctx context.Context, s Scope, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // read only
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	digest := hex.EncodeToString(h.Sum(nil))
	return digest, a.put(ctx, s, digest, f)
}

// put seals what r holds. It commits nothing unless that hashes to digest.
func (a *Artifacts) put(ctx context.Context, s Scope, digest string, r io.Reader) error {
	key, err := s.key(digest)
	if err != nil {
		return err
	}
	h := sha256.New()
	return a.write(ctx, key, io.TeeReader(r, h), func() error {
		if hex.EncodeToString(h.Sum(nil)) != digest {
			return errors.New("it changed while it was read")
		}
		return nil
	})
}

// write seals what r holds under a key of the bucket. It commits all of it, or
// nothing where there is an error; check has the last word.
func (a *Artifacts) write(ctx context.Context, key string, r io.Reader, check func() error) error {
	ctx, cancel := a.soon(ctx)
	defer cancel()
	dataKey := make([]byte, dataKeySize)
	if _, err := rand.Read(dataKey); err != nil {
		return err
	}
	sealedKey, err := a.keeper.Encrypt(ctx, dataKey)
	if err != nil {
		return fmt.Errorf("seal its key: %w", err)
	}

	wctx, abandon := context.WithCancel(ctx)
	defer abandon()
	w, err := a.bucket.NewWriter(wctx, key, &blob.WriterOptions{
		ContentType: "application/octet-stream",
		BeforeWrite: private,
	})
	if err != nil {
		return err
	}
	err = seal(w, r, dataKey, sealedKey, key)
	if err == nil {
		err = check()
	}
	if err != nil {
		abandon() // a writer whose context has ended commits nothing
		_ = w.Close()
		return err
	}
	return w.Close()
}

// private makes the file of a file:// bucket readable by its owner alone.
// Other buckets have no file and are left as they are.
func private(as func(any) bool) error {
	var f *os.File
	if !as(&f) {
		return nil
	}
	return f.Chmod(0o600)
}

// Get returns the content of an artifact. Its errors are *NotFoundError,
// *DamagedError, or those of the bucket and the key.
func (a *Artifacts) Get(ctx context.Context, s Scope, digest string) ([]byte, error) {
	var b bytes.Buffer
	if err := a.get(ctx, s, digest, &b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Fetch writes the content of an artifact to path, with mode 0600. On an error,
// which are those of Get and of the file, there is no file at path, not even
// one that was there before.
func (a *Artifacts) Fetch(ctx context.Context, s Scope, digest, path string) (err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("fetch artifact %s of %s: %w", short(digest), s, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".artifact-*") // mode 0600
	if err != nil {
		return fmt.Errorf("fetch artifact %s of %s: %w", short(digest), s, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := a.get(ctx, s, digest, f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("fetch artifact %s of %s: %w", short(digest), s, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("fetch artifact %s of %s: %w", short(digest), s, err)
	}
	return nil
}

// get writes the content to w. Where it returns an error, what it wrote is
// not to be used.
func (a *Artifacts) get(ctx context.Context, s Scope, digest string, w io.Writer) error {
	key, err := s.key(digest)
	if err != nil {
		return err
	}
	failed := func(err error) error {
		var d *damage
		switch {
		case errors.As(err, &d):
			return &DamagedError{Scope: s, Digest: digest, Reason: d.reason}
		case gcerrors.Code(err) == gcerrors.NotFound:
			return &NotFoundError{Scope: s, Digest: digest}
		}
		return fmt.Errorf("get artifact %s of %s: %w", short(digest), s, err)
	}
	ctx, cancel := a.soon(ctx)
	defer cancel()
	r, err := a.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = r.Close() }() // read only
	h := sha256.New()
	err = open(io.MultiWriter(w, h), r, key, func(sealed []byte) ([]byte, error) { return a.unsealKey(ctx, sealed) })
	if err != nil {
		return failed(err)
	}
	if hex.EncodeToString(h.Sum(nil)) != digest {
		return failed(&damage{"its content has another digest"})
	}
	return nil
}

// unsealKey opens the key of an artifact. Only what the keeper says about the
// sealed bytes themselves is damage; that it cannot be reached is not.
func (a *Artifacts) unsealKey(ctx context.Context, sealed []byte) ([]byte, error) {
	key, err := a.keeper.Decrypt(ctx, sealed)
	switch {
	case err == nil:
		return key, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case a.local || gcerrors.Code(err) == gcerrors.InvalidArgument:
		return nil, &damage{"it was sealed with another key, or changed"}
	case gcerrors.Code(err) == gcerrors.NotFound:
		// Not to be taken for a missing artifact.
		return nil, fmt.Errorf("unseal its key: the sealing key does not exist: %s", err.Error())
	}
	return nil, fmt.Errorf("unseal its key: %w", err)
}

// Remove deletes every artifact of exactly this scope. That there is none is
// no error.
func (a *Artifacts) Remove(ctx context.Context, s Scope) error {
	prefix, err := s.prefix()
	if err != nil {
		return err
	}
	removed := 0
	for it := a.bucket.List(&blob.ListOptions{Prefix: prefix}); ; {
		o, err := a.next(ctx, it)
		if errors.Is(err, io.EOF) {
			a.log.Debug("artifacts removed", "repo", s.Repo, "pull", s.Pull, "count", removed)
			return nil
		}
		if err != nil {
			return fmt.Errorf("list artifacts of %s: %w", s, err)
		}
		if err := a.delete(ctx, o.Key); err != nil {
			return fmt.Errorf("remove an artifact of %s: %w", s, err)
		}
		removed++
	}
}

// next is one more object of a list; its error is io.EOF after the last.
func (a *Artifacts) next(ctx context.Context, it *blob.ListIterator) (*blob.ListObject, error) {
	ctx, cancel := a.soon(ctx)
	defer cancel()
	return it.Next(ctx)
}

// delete removes an object, if it is there.
func (a *Artifacts) delete(ctx context.Context, key string) error {
	ctx, cancel := a.soon(ctx)
	defer cancel()
	if err := a.bucket.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return err
	}
	return nil
}

func (a *Artifacts) soon(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, a.patience, fmt.Errorf("no answer within %v", a.patience))
}

// Check reports whether artifacts can be stored now: whether the bucket can be
// listed and the key seals. It is for readiness, and asks AWS where AWS is used.
func (a *Artifacts) Check(ctx context.Context) error {
	ctx, cancel := a.soon(ctx)
	defer cancel()
	ok, err := a.bucket.IsAccessible(ctx)
	if err != nil {
		return fmt.Errorf("reach the artifacts' bucket: %w", err)
	}
	if !ok {
		return errors.New("reach the artifacts' bucket: it does not exist")
	}
	if _, err := a.keeper.Encrypt(ctx, []byte("weir")); err != nil {
		return fmt.Errorf("use the seal key: %w", err)
	}
	return nil
}

// Close lets go of bucket and key.
func (a *Artifacts) Close() error {
	return errors.Join(a.bucket.Close(), a.keeper.Close())
}

// short cuts a digest for people.
func short(digest string) string {
	return digest[:min(len(digest), 12)]
}

package artifact

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/s3blob"
	"gocloud.dev/secrets"
	"gocloud.dev/secrets/awskms"
	"gocloud.dev/secrets/localsecrets"
)

// patience is enough for the largest plan files within a region of AWS.
const patience = 2 * time.Minute

// Open opens the bucket and the seal key. A directory that does not exist is
// made with mode 0700, a key file with mode 0600; AWS is configured only where
// a URL names it, and not asked yet (see Check).
func Open(ctx context.Context, c Config) (*Artifacts, error) {
	a := &Artifacts{log: c.Log, patience: patience}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if a.keeper, a.local, err = openKeeper(ctx, c.SealKey); err != nil {
		return nil, fmt.Errorf("open the seal key: %w", err)
	}
	if a.bucket, err = openBucket(ctx, c.Bucket); err != nil {
		_ = a.keeper.Close()
		return nil, fmt.Errorf("open the artifacts' bucket: %w", err)
	}
	return a, nil
}

func openBucket(ctx context.Context, raw string) (*blob.Bucket, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("it is not a URL")
	}
	switch u.Scheme {
	case "file":
		dir, err := filePath(u)
		if err != nil {
			return nil, err
		}
		return fileblob.OpenBucket(dir, &fileblob.Options{
			CreateDir: true, DirFileMode: 0o700,
			NoTempDir: true, // else a rename from another disk fails
			Metadata:  fileblob.MetadataDontWrite,
		})
	case s3blob.Scheme:
		// The seal says what is damaged, and the SDK would write a line past
		// every logger for each object whose checksum it cannot compare.
		query := u.Query()
		if key := "response_checksum_validation"; !query.Has(key) {
			query.Set(key, "when_required")
			u.RawQuery = query.Encode()
		}
		return new(s3blob.URLOpener).OpenBucketURL(ctx, u)
	}
	return nil, fmt.Errorf("scheme %q is not one of file, s3", u.Scheme)
}

// openKeeper returns the keeper, and whether it is a local one. Its errors do
// not repeat the URL, which may hold a secret if it is mistaken.
func openKeeper(ctx context.Context, raw string) (*secrets.Keeper, bool, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, false, errors.New("it is not a URL")
	}
	switch u.Scheme {
	case "file":
		path, err := filePath(u)
		if err != nil {
			return nil, false, err
		}
		key, err := keyFile(path)
		if err != nil {
			return nil, false, err
		}
		return localsecrets.NewKeeper(key), true, nil
	case awskms.Scheme:
		k, err := new(awskms.URLOpener).OpenKeeperURL(ctx, u)
		return k, false, err
	}
	return nil, false, fmt.Errorf("scheme %q is not one of file, awskms", u.Scheme)
}

// filePath returns the path of a file:// URL: file:///ABSOLUTE or
// file://./RELATIVE, where #, ? and % are %23, %3F and %25. A host other than
// "." and localhost is an error, since it is nearly always the first folder of
// a path that was meant to be relative.
func filePath(u *url.URL) (string, error) {
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil || u.Opaque != "" {
		return "", errors.New("a file:// URL holds a path and nothing else; in a path write %23 for #, %3F for ? and %25 for %")
	}
	if u.Path == "" || u.Path == "/" {
		return "", errors.New("the file:// URL names no path")
	}
	switch u.Host {
	case "", "localhost":
		return filepath.Clean(u.Path), nil
	case ".":
		return filepath.Clean("." + u.Path), nil
	}
	return "", fmt.Errorf("file://%s%s: for a relative path write file://./%s%s", u.Host, u.EscapedPath(), u.Host, u.EscapedPath())
}

const keySize = 32

// keyFile reads the seal key, and makes it where there is none. A key that
// anybody may read, or of another length, is refused.
func keyFile(path string) (key [keySize]byte, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		if err := makeKey(path); err != nil && !errors.Is(err, os.ErrExist) {
			return key, err
		}
		f, err = os.Open(path)
	}
	if err != nil {
		return key, err
	}
	defer func() { _ = f.Close() }() // read only
	info, err := f.Stat()
	if err != nil {
		return key, err
	}
	// Read by a group is allowed: that is how Kubernetes mounts secrets for
	// a user who is not root.
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return key, fmt.Errorf("%s can be read or written by everybody (mode %04o): chmod 600 it", path, mode)
	}
	if !info.Mode().IsRegular() || info.Size() != keySize {
		return key, fmt.Errorf("%s holds %d bytes and not %d random ones; what was sealed with it is lost if it is replaced",
			path, info.Size(), keySize)
	}
	_, err = io.ReadFull(f, key[:])
	return key, err
}

// makeKey writes a new random key to path, which must not exist: complete or not
// at all, also where several servers start at once.
func makeKey(path string) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".seal-key-") // for this user only
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // path is another name of it by then
	_, err = f.Write(key)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

package terraform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"weir/planner/terraform/child"
	"weir/planner/terraform/plan"
)

// binary is a terraform or tofu on this machine.
type binary struct {
	path     string
	name     string // for people
	identity string // changes when the file is replaced
}

// unusableError is why a program cannot be run, as a sentence for people that
// names no path of this machine.
type unusableError struct{ name, reason string }

func (e *unusableError) Error() string {
	return fmt.Sprintf("%s cannot be run on this server: %s. Whoever runs weir has to install terraform or tofu, or to name it by terraform.binary in weir's configuration.", e.name, e.reason)
}

func findBinary(name string) (binary, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(path)
	}
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EISDIR):
		return binary{}, &unusableError{filepath.Base(name), "weir may not execute it"}
	case errors.Is(err, exec.ErrNotFound) && !strings.ContainsAny(name, `/\`):
		return binary{}, &unusableError{name, "there is no such program on its PATH"}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrNotFound):
		return binary{}, &unusableError{filepath.Base(name), "it is not where it was configured to be"}
	default:
		return binary{}, fmt.Errorf("find %s: %w", name, err)
	}
	identity := fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano())
	return binary{path: path, name: filepath.Base(name), identity: identity}, nil
}

// choose finds the binary of the version that the target wants: the
// configured one if it is of that version, or else <binary>_<version> or
// <binary>-<version> on the PATH or beside the configured one.
func (r *Runner) choose(ctx context.Context, p *project) (binary, *Failure, error) {
	configured, err := findBinary(r.Binary)
	wanted := strings.TrimPrefix(strings.TrimSpace(p.target.Version), "v")
	if err != nil || wanted == "" {
		return configured, nil, err
	}
	env := r.environment(p.inherited)
	version, err := r.version(ctx, configured, env)
	if err != nil || version == wanted {
		return configured, nil, err
	}
	here := []string{version}
	if !strings.ContainsAny(wanted, `/\`) {
		for _, separator := range []string{"_", "-"} {
			for _, candidate := range []string{configured.name + separator + wanted, configured.path + separator + wanted} {
				other, err := findBinary(candidate)
				if err != nil {
					continue
				}
				version, err := r.version(ctx, other, env)
				if err != nil || version == wanted {
					return other, nil, err
				}
				if said := version + " (called " + other.name + ")"; !slices.Contains(here, said) {
					here = append(here, said)
				}
			}
		}
	}
	return binary{}, &Failure{Stage: "init", Message: fmt.Sprintf(
		"this project asks for %[1]s %[2]s, and this server has %[3]s. Put %[1]s_%[2]s on the server's PATH, or change terraform_version in weir.yaml.",
		configured.name, wanted, strings.Join(here, ", "))}, nil
}

// Version says which program runs where a project wants no other, such as
// "terraform", and its version, such as "1.11.4". It is one process at most,
// until the program is replaced. The error is a sentence that says what is
// wrong with the program: it is missing, not executable, or no terraform.
func (r *Runner) Version(ctx context.Context) (name, version string, err error) {
	b, err := findBinary(r.Binary)
	if err != nil {
		return "", "", err
	}
	if err := os.MkdirAll(r.tempDir(), 0o700); err != nil {
		return "", "", fmt.Errorf("prepare terraform: %w", err)
	}
	version, err = r.version(ctx, b, r.environment(r.inherited()))
	return b.name, version, err
}

// version asks the binary once, until it is replaced.
func (r *Runner) version(ctx context.Context, b binary, env []string) (string, error) {
	if known, ok := r.versions.Load(b.identity); ok {
		return known.(string), nil //nolint:errcheck // nothing else is stored
	}
	var out bytes.Buffer
	c := child.Command{Verb: "version", Path: b.path, Args: []string{"version", "-json"}, Env: env, Dir: r.tempDir()}
	o, err := r.limit().Run(ctx, c, &out, true, child.NewLog(io.Discard, strings.NewReplacer()))
	if start := (*child.StartError)(nil); errors.As(err, &start) {
		return "", &unusableError{b.name, "it does not start: " + start.Reason()}
	}
	if err != nil {
		return "", err
	}
	var said struct {
		Version string `json:"terraform_version"` // OpenTofu says it by the same name
	}
	err = json.NewDecoder(plan.SkipText(&out)).Decode(&said)
	switch {
	case o.Signal != "":
		return "", &unusableError{b.name, fmt.Sprintf("it was ended by a signal (%s) when it was asked for its version", o.Signal)}
	case o.Code != 0:
		return "", &unusableError{b.name, fmt.Sprintf("asked for its version it ended with exit code %d", o.Code)}
	case err != nil || said.Version == "":
		return "", &unusableError{b.name, "its answer to the question for its version is none of terraform's or tofu's"}
	}
	r.versions.Store(b.identity, said.Version)
	return said.Version, nil
}

package terraform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"weir/planner/terraform/child"
)

// binary is a terraform or tofu on this machine.
type binary struct {
	path     string
	name     string // for people
	identity string // changes when the file is replaced
}

func findBinary(name string) (binary, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return binary{}, fmt.Errorf("find %s: %w", name, err)
	}
	info, err := os.Stat(path)
	if err != nil {
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
	env := p.environment(false)
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

// version asks the binary once, until it is replaced.
func (r *Runner) version(ctx context.Context, b binary, env []string) (string, error) {
	if known, ok := r.versions.Load(b.identity); ok {
		return known.(string), nil //nolint:errcheck // nothing else is stored
	}
	var out bytes.Buffer
	c := child.Command{Verb: "version", Path: b.path, Args: []string{"version", "-json"}, Env: env, Dir: r.tempDir()}
	o, err := r.limit().Run(ctx, c, &out, true, child.NewLog(io.Discard, strings.NewReplacer()))
	if err != nil {
		return "", err
	}
	var said struct {
		Version string `json:"terraform_version"` // OpenTofu says it by the same name
	}
	if err := json.Unmarshal(out.Bytes(), &said); err != nil || o.Code != 0 || said.Version == "" {
		return "", fmt.Errorf("ask %s for its version: exit code %d, %q", b.path, o.Code, out.String())
	}
	r.versions.Store(b.identity, said.Version)
	return said.Version, nil
}

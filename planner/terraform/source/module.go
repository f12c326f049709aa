// Package source reads what the files of a Terraform module say about
// initialising it, and about what its plans leave unsaid. It follows local
// module calls and evaluates nothing.
package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

const builtinTerraform = "terraform.io/builtin/terraform"

// Module is what the files of a root module and of the local modules that it
// calls say about initialising it, and about what its plans leave unsaid.
// Where a file cannot be judged (broken, JSON syntax), it takes the worst of it.
type Module struct {
	Root    string          // of the checkout, absolute; modules outside of it are not read
	dir     string          // of the root module, absolute
	Backend string          // type of the backend block, "cloud", or ""
	seen    map[string]bool // module directories
	init    map[string]bool // statements that initialisation depends on

	modules   bool            // some module is called
	Downloads bool            // a module that is not in the checkout is called
	Wants     map[string]bool // sources of the providers it needs that are not built in
	States    []string        // absolute directories where the backend "local" keeps the state, as far as the text tells
	LostState bool            // the backend keeps the state in the checkout, which does not last
	Volatile  bool            // the statements of init do not tell everything: initialise each time

	Escapes      string          // a file or the directory of a module, relative to Root, that a link leads out of it; it is not read
	Sensitive    map[string]bool // root variables declared sensitive
	readsOutside bool
	hidden       bool
	removedRuns  bool

	outputs       map[string]hclsyntax.Node // of the root module
	locals        map[string]hclsyntax.Node
	providerNodes []hclsyntax.Node
	backendNodes  []hclsyntax.Node
	backendFiles  []string          // hashes of files of the root module that may say where the state is
	source        map[string][]byte // files of the root module by name
	opaqueRoot    bool              // a file of the root module could not be judged
}

// Read reads the module in dir, which is inside root. It returns an
// error only for files that cannot be read.
func Read(root, dir string) (*Module, error) {
	s := &Module{
		Root: root, dir: dir, seen: map[string]bool{}, init: map[string]bool{}, Wants: map[string]bool{}, Sensitive: map[string]bool{},
		outputs: map[string]hclsyntax.Node{}, locals: map[string]hclsyntax.Node{}, source: map[string][]byte{},
	}
	if err := s.module(dir, true); err != nil {
		return nil, err
	}
	return s, nil
}

// OnlyBuiltin says that no provider has to be downloaded or started.
func (s *Module) OnlyBuiltin() bool { return len(s.Wants) == 0 && !s.Downloads && !s.Volatile }

// NeedsInit says that terraform would refuse to plan without an init.
func (s *Module) NeedsInit() bool {
	return s.Backend != "" || s.modules || len(s.Wants) > 0 || s.Volatile
}

// Fingerprint is equal for two scans that initialise to the same directory.
func (s *Module) Fingerprint() string {
	return Sum(slices.Sorted(maps.Keys(s.init))...)
}

// Sum tells lists of strings apart.
func Sum(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // hashes do not fail
	}
	return hex.EncodeToString(h.Sum(nil))
}

var saysState = regexp.MustCompile(`backend|cloud|encryption`)

func (s *Module) unjudged(root bool, name string, content []byte) {
	s.init["file "+name+" "+Sum(string(content))] = true
	s.modules, s.Downloads = true, true
	s.readsOutside, s.hidden = true, true
	s.opaqueRoot = s.opaqueRoot || root
	if bytes.Contains(content, []byte("removed")) && bytes.Contains(content, []byte("provisioner")) {
		s.removedRuns = true
	}
	for _, backend := range []string{"cloud", "backend"} {
		if root && s.Backend == "" && bytes.Contains(content, []byte(`"`+backend+`"`)) {
			s.Backend = backend
		}
	}
	if root && saysState.Match(content) {
		s.backendFiles = append(s.backendFiles, Sum(string(content)))
	}
}

func (s *Module) module(dir string, root bool) error {
	if s.seen[dir] {
		return nil
	}
	s.seen[dir] = true
	rel, err := filepath.Rel(s.Root, dir)
	if err != nil {
		return err
	}
	if s.escapes(rel) {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // terraform says so better
	}
	if err != nil {
		return err
	}
	local := map[string]string{} // local names of providers to their sources
	var bodies []*hclsyntax.Body
	for _, entry := range entries {
		name := entry.Name()
		native := strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tofu")
		if entry.IsDir() || strings.HasPrefix(name, ".") || !native && !strings.HasSuffix(name, ".tf.json") && !strings.HasSuffix(name, ".tofu.json") {
			continue
		}
		key := filepath.Join(rel, name)
		if entry.Type()&fs.ModeSymlink != 0 && s.escapes(key) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ELOOP) {
			continue // a link that leads nowhere: terraform says so better
		}
		if err != nil {
			return err
		}
		file, diags := hclsyntax.ParseConfig(content, key, hcl.InitialPos)
		if !native || diags.HasErrors() {
			s.unjudged(root, key, content)
			continue
		}
		s.source[key] = content
		body := file.Body.(*hclsyntax.Body) //nolint:errcheck // promised by ParseConfig
		bodies = append(bodies, body)
		s.requirements(body, local)
	}
	for _, body := range bodies {
		for _, block := range body.Blocks {
			if err := s.block(block, rel, root, local); err != nil {
				return err
			}
		}
		s.expressions(body, dir)
	}
	return nil
}

// escapes remembers what a link leads out of the checkout.
func (s *Module) escapes(rel string) bool {
	resolved, err := filepath.EvalSymlinks(filepath.Join(s.Root, rel))
	if err != nil || Inside(s.Root, resolved) {
		return false
	}
	s.Escapes = filepath.ToSlash(rel)
	return true
}

// requirements collects the sources of the module's required_providers.
func (s *Module) requirements(body *hclsyntax.Body, local map[string]string) {
	for _, block := range body.Blocks {
		if block.Type != "terraform" {
			continue
		}
		for _, inner := range block.Body.Blocks {
			if inner.Type != "required_providers" {
				continue
			}
			for name, attr := range inner.Body.Attributes {
				local[name] = "hashicorp/" + name
				pairs, diags := hcl.ExprMap(attr.Expr)
				if diags.HasErrors() {
					continue // the old form, a version alone
				}
				for _, pair := range pairs {
					if hcl.ExprAsKeyword(pair.Key) == "source" {
						local[name] = literal(pair.Value)
					}
				}
			}
		}
	}
	for _, source := range local {
		s.want(source)
	}
}

// block reads one block of the module in dir, which is relative to the checkout.
func (s *Module) block(block *hclsyntax.Block, dir string, root bool, local map[string]string) error {
	switch block.Type {
	case "terraform":
		s.init[dir+" "+s.text(block)] = true
		for _, inner := range block.Body.Blocks {
			if root && saysState.MatchString(inner.Type) {
				s.backendNodes = append(s.backendNodes, inner)
			}
			switch {
			case inner.Type == "backend" && root && len(inner.Labels) == 1:
				s.Backend = inner.Labels[0]
				path, ok := inner.Body.Attributes["path"]
				s.LostState = s.Backend == "local" && !(ok && filepath.IsAbs(literal(path.Expr)))
				s.local(inner.Body)
			case inner.Type == "cloud" && root:
				s.Backend = "cloud"
			}
			// OpenTofu lets variables stand in here.
			s.Volatile = s.Volatile || inner.Type != "required_providers" && len(references(inner)) > 0
		}
	case "provider":
		s.needs(first(block.Labels), dir, local)
		if root {
			s.providerNodes = append(s.providerNodes, block)
		}
	case "resource", "data", "ephemeral":
		name, _, _ := strings.Cut(first(block.Labels), "_")
		if attr, ok := block.Body.Attributes["provider"]; ok {
			if t, diags := hcl.AbsTraversalForExpr(attr.Expr); !diags.HasErrors() {
				name = t.RootName()
			} else {
				s.Volatile = true
			}
		}
		s.needs(name, dir, local)
		visit(block, func(node hclsyntax.Node) {
			inner, ok := node.(*hclsyntax.Block)
			s.hidden = s.hidden || ok && inner.Type == "dynamic"
		})
	case "removed":
		for _, inner := range block.Body.Blocks {
			s.removedRuns = s.removedRuns || inner.Type == "provisioner"
		}
	case "variable":
		if attr, ok := block.Body.Attributes["sensitive"]; ok && root {
			value, diags := attr.Expr.Value(nil)
			s.Sensitive[first(block.Labels)] = diags.HasErrors() || !value.RawEquals(cty.False)
		}
	case "output":
		if attr, ok := block.Body.Attributes["value"]; ok && root {
			s.outputs[first(block.Labels)] = attr
		}
	case "locals":
		for name, attr := range block.Body.Attributes {
			if root {
				s.locals[name] = attr
			}
		}
	case "module":
		return s.call(block, dir)
	}
	return nil
}

// local collects where a backend "local" keeps its states.
func (s *Module) local(backend *hclsyntax.Body) {
	for name, attr := range backend.Attributes {
		path := literal(attr.Expr)
		if s.Backend != "local" || !filepath.IsAbs(path) {
			continue
		}
		switch name {
		case "path":
			s.States = append(s.States, filepath.Dir(path))
		case "workspace_dir":
			s.States = append(s.States, filepath.Clean(path))
		}
	}
}

func (s *Module) needs(provider, dir string, local map[string]string) {
	source, ok := local[provider]
	switch {
	case ok:
	case provider == "terraform":
		return
	default:
		source = "hashicorp/" + provider
	}
	if source != builtinTerraform {
		s.init[dir+" provider "+provider] = true
		s.want(source)
	}
}

func (s *Module) want(source string) {
	if source != builtinTerraform {
		s.Wants[source] = true
	}
}

func (s *Module) call(block *hclsyntax.Block, dir string) error {
	s.modules = true
	source := ""
	for _, name := range []string{"source", "version"} {
		if attr, ok := block.Body.Attributes[name]; ok {
			s.init[dir+" module "+first(block.Labels)+" "+s.text(attr)] = true
			s.Volatile = s.Volatile || len(references(attr)) > 0
			if name == "source" {
				source = literal(attr.Expr)
			}
		}
	}
	if !strings.HasPrefix(source, "./") && !strings.HasPrefix(source, "../") {
		s.Downloads, s.hidden = true, true
		return nil
	}
	called := filepath.Join(s.Root, dir, filepath.FromSlash(source))
	if !Inside(s.Root, called) {
		s.Volatile, s.readsOutside, s.hidden = true, true, true
		return nil
	}
	return s.module(called, false)
}

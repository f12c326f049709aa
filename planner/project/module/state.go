package module

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// backend is one backend or cloud block: what of it says where the state is.
type backend struct {
	file string
	kind string            // the block's label, or "cloud"
	set  map[string]string // what is written literally; what is in workspaces and endpoints as workspaces.name
	open map[string]bool   // what is set to something else
}

// place is what backends are told by: only these settings are read, so that no
// secret is.
var (
	place = &hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{
			{Name: "bucket"},
			{Name: "key"},
			{Name: "workspace_key_prefix"},
			{Name: "endpoint"},
			{Name: "endpoints"},
			{Name: "prefix"},
			{Name: "storage_account_name"},
			{Name: "container_name"},
			{Name: "address"},
			{Name: "path"},
			{Name: "datacenter"},
			{Name: "workspace_dir"},
			{Name: "hostname"},
			{Name: "organization"},
		},
		Blocks: []hcl.BlockHeaderSchema{{Type: "workspaces"}},
	}
	workspaces = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "name"}, {Name: "prefix"}}}
)

func readBackend(file string, block *hcl.Block) backend {
	b := backend{file: file, kind: "cloud", set: map[string]string{}, open: map[string]bool{}}
	if block.Type != "cloud" {
		b.kind = block.Labels[0]
	}
	b.read(block.Body, place, "")
	return b
}

func (b *backend) read(body hcl.Body, schema *hcl.BodySchema, above string) {
	content, _, diags := body.PartialContent(schema)
	if diags.HasErrors() {
		b.open[""] = true // terraform refuses it, or reads it in another way
	}
	for name, attr := range content.Attributes {
		if name != "endpoints" {
			b.put(above+name, attr.Expr)
			continue
		}
		pairs, diags := hcl.ExprMap(attr.Expr)
		if diags.HasErrors() {
			b.open["endpoints.s3"] = true
		}
		for _, pair := range pairs {
			switch name, known := keyOf(pair.Key); {
			case !known:
				b.open["endpoints.s3"] = true
			case name == "s3":
				b.put("endpoints.s3", pair.Value)
			}
		}
	}
	for _, inner := range content.Blocks {
		b.read(inner.Body, workspaces, inner.Type+".")
	}
}

func (b *backend) put(name string, expr hcl.Expression) {
	text, open := literal(expr)
	// In JSON a directive is text to literal.
	if _, native := expr.(hclsyntax.Expression); open || !native && strings.Contains(text, "%{") {
		b.open[name] = true
		return
	}
	b.set[name] = text
}

func keyOf(expr hcl.Expression) (name string, known bool) {
	if word := hcl.ExprAsKeyword(expr); word != "" {
		return word, true
	}
	if key, ok := expr.(*hclsyntax.ObjectConsKeyExpr); ok {
		expr = key.Wrapped
	}
	text, open := literal(expr)
	return text, !open
}

// newest returns the backend that counts: of override files the last one by
// name, or else the last of all. One of an override file takes the place of
// others as a whole, and also a backend that of a cloud block.
func newest(backends []backend) backend {
	var over []backend
	for _, b := range backends {
		if Overrides(b.file) {
			over = append(over, b)
		}
	}
	if len(over) == 0 {
		return backends[len(backends)-1]
	}
	slices.SortStableFunc(over, func(a, b backend) int { return strings.Compare(a.file, b.file) })
	return over[len(over)-1]
}

// State names the Terraform state of a workspace of a root module, as far as
// the configuration shows it literally: two modules of which it is the same,
// wherever they are, write the same state. It is "" where that is not known:
// without a backend, with one that weir cannot read or that gets a part of its
// settings elsewhere, and where Terraform and OpenTofu would not agree.
//
// It holds no secrets, no control characters and at most 512 bytes.
func (m *Module) State(workspace string) string {
	if m.unread {
		return ""
	}
	// OpenTofu leaves out a.tf where there is a.tofu; Terraform leaves out
	// a.tofu ("Files and Directories" in OpenTofu's documentation).
	forTerraform := m.state(workspace, IsTofu)
	forTofu := m.state(workspace, func(file string) bool { return m.files[Instead(file)] })
	switch {
	case forTerraform == nil && forTofu == nil:
		return ""
	case forTerraform == nil:
		return *forTofu
	case forTofu == nil || *forTerraform == *forTofu:
		return *forTerraform
	}
	return ""
}

// state is State as one of the programs sees it, which leaves files out; nil
// where it sees no backend.
func (m *Module) state(workspace string, without func(file string) bool) *string {
	unknown := ""
	var seen []backend
	plain := 0
	for _, b := range m.backends {
		if without(b.file) {
			continue
		}
		seen = append(seen, b)
		if !Overrides(b.file) {
			plain++
		}
	}
	if len(seen) == 0 {
		return nil
	}
	if plain > 1 { // which is refused
		return &unknown
	}
	id := newest(seen).state(workspace)
	if !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
		return &unknown
	}
	const most = 512 // room in a key of the store
	if len(id) > most {
		kind, _, _ := strings.Cut(id, ":")
		id = kind + ":sha256:" + digest(id)
	}
	return &id
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// state names the state of a workspace as the backend's own code does, or "".
func (b backend) state(workspace string) string {
	if len(b.open) > 0 {
		return ""
	}
	switch b.kind {
	case "s3":
		return b.s3(workspace)
	case "gcs":
		return join("gs", b.set["bucket"], path.Join(b.set["prefix"], workspace+".tfstate"))
	case "azurerm":
		key := clean(b.set["key"])
		if key != "" && workspace != "default" {
			key += "env:" + workspace
		}
		return join("azurerm", b.set["storage_account_name"], join("", b.set["container_name"], key))
	case "http":
		return b.http(workspace)
	case "consul":
		return b.consul(workspace)
	case "local":
		file := b.set["path"]
		if workspace != "default" {
			file = b.set["workspace_dir"] + "/" + workspace + "/terraform.tfstate"
			if b.set["workspace_dir"] == "" {
				return ""
			}
		}
		if !path.IsAbs(file) {
			return "" // below the checkout, and so its own
		}
		return "file://" + path.Clean(file)
	case "remote", "cloud":
		return b.remote(workspace)
	}
	return ""
}

// join names an object in a container, or "" where one of them is not set.
// Keys that a service would tell apart by slashes or dots alone are taken for
// one: excluding too much is the lesser mistake.
func join(kind, container, key string) string {
	key = clean(key)
	if container == "" || key == "" || strings.ContainsAny(container, "/?#") {
		return ""
	}
	if kind != "" {
		kind += "://"
	}
	return kind + container + "/" + key
}

func clean(key string) string { return strings.TrimPrefix(path.Clean("/"+key), "/") }

// s3 follows Terraform's own: PREFIX/WORKSPACE/KEY for all but default. The
// names of buckets are unique in AWS, so region and AWS's own endpoints say
// nothing more; another endpoint is another world.
func (b backend) s3(workspace string) string {
	key := clean(b.set["key"])
	if key == "" {
		return ""
	}
	if workspace != "default" {
		prefix, given := b.set["workspace_key_prefix"]
		if !given {
			prefix = "env:"
		}
		key = path.Join(prefix, workspace, key)
	}
	id := join("s3", b.set["bucket"], key)
	for _, name := range []string{"endpoint", "endpoints.s3"} {
		host := b.set[name]
		if host == "" || id == "" {
			continue
		}
		if !strings.Contains(host, "://") {
			host = "https://" + host
		}
		u, err := url.Parse(host)
		if err != nil || u.Hostname() == "" {
			return ""
		}
		if host = strings.ToLower(u.Host); !strings.HasSuffix(u.Hostname(), ".amazonaws.com") {
			return id + "?endpoint=" + host
		}
	}
	return id
}

// http has no workspaces. Passwords in an address are no part of a name, and
// its query may hold one.
func (b backend) http(workspace string) string {
	u, err := url.Parse(b.set["address"])
	if err != nil || workspace != "default" || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return ""
	}
	id := hostOf(u) + path.Clean("/"+u.EscapedPath())
	if u.RawQuery != "" {
		id += "?sha256=" + digest(u.RawQuery)[:16]
	}
	return id
}

// hostOf is scheme and host of a URL, without a port that goes without saying.
func hostOf(u *url.URL) string {
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	switch {
	case port == "", scheme == "http" && port == "80", scheme == "https" && port == "443":
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
	default:
		host = net.JoinHostPort(host, port)
	}
	return scheme + "://" + host
}

// consul without an address is the one of weir's environment, the same for all.
func (b backend) consul(workspace string) string {
	key := clean(b.set["path"])
	if key == "" {
		return ""
	}
	if workspace != "default" {
		key += "-env:" + workspace
	}
	_, address, found := strings.Cut(b.set["address"], "@") // before it stands a password
	if !found {
		address = b.set["address"]
	}
	if _, host, found := strings.Cut(address, "://"); found {
		address = host
	}
	address = strings.ToLower(strings.TrimRight(address, "/"))
	if address == "" {
		address = "consul"
	}
	id := join("consul", address, key)
	if dc := b.set["datacenter"]; dc != "" && id != "" {
		id += "?dc=" + dc
	}
	return id
}

// remote names a workspace of HCP Terraform, or of what speaks its language:
// remote and cloud may mean the same one. With a name it is that, whatever the
// project's workspace is called; with a prefix or tags it goes by that.
func (b backend) remote(workspace string) string {
	host := strings.ToLower(b.set["hostname"])
	if host == "" {
		host = "app.terraform.io"
	}
	name := b.set["workspaces.name"]
	switch {
	case name != "" && workspace != "default" && workspace != name:
		return ""
	case name == "" && workspace == "default":
		return "" // there is none, or it is chosen by TF_WORKSPACE
	case name == "":
		name = b.set["workspaces.prefix"] + workspace
	}
	org := b.set["organization"]
	if org == "" || strings.ContainsAny(org+name, "/?#") {
		return ""
	}
	return join("tfe", host, org+"/"+name)
}

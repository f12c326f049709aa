package page

import (
	"bytes"
	"html/template"
	"net/url"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
	xhtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// GitHub's Markdown: its extensions, and HTML that is cleaned afterwards.
var renderer = goldmark.New(goldmark.WithExtensions(extension.Linkify, extension.Strikethrough, extension.TaskList,
	// A style attribute would not survive sanitise.
	extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute))), goldmark.WithRendererOptions(html.WithUnsafe()))

// markdown renders a comment. Scripts, styles, forms, event handlers and
// comments (weir's marker) are left out; what GitHub keeps is kept.
func markdown(source string) (template.HTML, error) {
	var raw bytes.Buffer
	if err := renderer.Convert([]byte(source), &raw); err != nil {
		return "", err
	}
	body := &xhtml.Node{Type: xhtml.ElementNode, DataAtom: atom.Body, Data: "body"}
	nodes, err := xhtml.ParseFragment(&raw, body)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	for _, n := range nodes {
		for _, clean := range sanitise(n) {
			if err := xhtml.Render(&out, clean); err != nil {
				return "", err
			}
		}
	}
	return template.HTML(out.String()), nil
}

var (
	allowed = strings.Fields("a b blockquote br code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img input ins kbd li ol p pre q s samp span strike strong sub summary sup table tbody td tfoot th thead tr tt ul var picture source")
	// dropped go with all that is in them; any other element leaves its
	// content behind.
	dropped    = strings.Fields("script style iframe object embed applet form select textarea button template noscript svg math title head frame frameset xmp plaintext noembed noframes")
	attributes = strings.Fields("href src srcset title alt open align colspan rowspan width height start type checked disabled")
)

// sanitise returns what may be shown of a node: it, what it holds, or nothing.
func sanitise(n *xhtml.Node) []*xhtml.Node {
	switch n.Type {
	case xhtml.TextNode:
		return []*xhtml.Node{{Type: xhtml.TextNode, Data: n.Data}}
	case xhtml.ElementNode:
	default:
		return nil // comments and doctypes
	}
	if slices.Contains(dropped, n.Data) || n.Namespace != "" {
		return nil
	}
	var children []*xhtml.Node
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		children = append(children, sanitise(c)...)
	}
	if !slices.Contains(allowed, n.Data) {
		return children
	}
	if n.Data == "input" && attribute(n, "type") != "checkbox" {
		return nil
	}
	if n.Data == "code" && attribute(n, "class") == "language-diff" {
		children = colour(text(children))
	}
	clean := &xhtml.Node{Type: xhtml.ElementNode, DataAtom: n.DataAtom, Data: n.Data}
	for _, a := range n.Attr {
		if slices.Contains(attributes, a.Key) && (a.Key != "href" && a.Key != "src" && a.Key != "srcset" || harmless(a.Val)) {
			clean.Attr = append(clean.Attr, xhtml.Attribute{Key: a.Key, Val: a.Val})
		}
	}
	if n.Data == "a" {
		clean.Attr = append(clean.Attr, xhtml.Attribute{Key: "rel", Val: "nofollow noopener"})
	}
	for _, c := range children {
		clean.AppendChild(c)
	}
	return []*xhtml.Node{clean}
}

func attribute(n *xhtml.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// harmless says whether an address may be followed.
func harmless(address string) bool {
	u, err := url.Parse(strings.TrimSpace(address))
	return err == nil && slices.Contains([]string{"", "http", "https", "mailto"}, strings.ToLower(u.Scheme))
}

func text(nodes []*xhtml.Node) string {
	var out strings.Builder
	for _, n := range nodes {
		if n.Type == xhtml.TextNode {
			out.WriteString(n.Data)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			out.WriteString(text([]*xhtml.Node{c}))
		}
	}
	return out.String()
}

// colour wraps each line of a diff as GitHub does: what is added, removed or
// changed, headings and remarks.
func colour(diff string) []*xhtml.Node {
	var lines []*xhtml.Node
	for line := range strings.Lines(diff) {
		span := &xhtml.Node{Type: xhtml.ElementNode, DataAtom: atom.Span, Data: "span", Attr: []xhtml.Attribute{{Key: "class", Val: lineClass(line)}}}
		span.AppendChild(&xhtml.Node{Type: xhtml.TextNode, Data: line})
		lines = append(lines, span)
	}
	return lines
}

func lineClass(line string) string {
	switch {
	case strings.HasPrefix(line, "+"):
		return "add"
	case strings.HasPrefix(line, "-"):
		return "del"
	case strings.HasPrefix(line, "!"):
		return "change"
	case strings.HasPrefix(line, "@@"):
		return "hunk"
	case strings.HasPrefix(line, "#"):
		return "remark"
	}
	return "same"
}

// patchFile is one file of a patch.
type patchFile struct {
	Name string
	Diff template.HTML
}

// patch splits a unified diff into files and colours it.
func patch(diff string) ([]patchFile, error) {
	var files []patchFile
	for part := range strings.SplitSeq("\n"+diff, "\ndiff --git ") {
		head, body, found := strings.Cut(part, "\n@@")
		if strings.TrimSpace(part) == "" {
			continue
		}
		// The last "b/…" of the first line; a path with " b/" in it is
		// shown cut, which harms nobody.
		first := firstLine(head)
		name := first[strings.LastIndex(first, " b/")+3:]
		shown := head[len(first):]
		if found {
			shown = "@@" + body
		}
		var out bytes.Buffer
		for _, n := range colour(strings.TrimPrefix(shown, "\n")) {
			if err := xhtml.Render(&out, n); err != nil {
				return nil, err
			}
		}
		files = append(files, patchFile{Name: name, Diff: template.HTML(out.String())})
	}
	return files, nil
}

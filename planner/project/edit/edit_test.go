package edit

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what is got as what is wanted")

// tree makes a checkout of files.
func tree(files map[string]string) fstest.MapFS {
	all := fstest.MapFS{}
	for name, text := range files {
		all[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return all
}

// TestGolden does what is in the archives of testdata: files below in/, what
// is wanted, files that are to change below out/, and what cannot be
// expressed. "dir: X" in the comment is the project's directory, "crlf" and
// "bom" change the files before and after, "messy" is code that is not
// formatted.
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no archives", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			comment, dir := string(archive.Comment), "."
			for line := range strings.SplitSeq(comment, "\n") {
				if d, ok := strings.CutPrefix(line, "dir: "); ok {
					dir = d
				}
			}
			encode := func(text string) string {
				if strings.Contains(comment, "crlf\n") {
					text = strings.ReplaceAll(text, "\n", "\r\n")
				}
				if strings.Contains(comment, "bom\n") {
					text = "\ufeff" + text
				}
				return text
			}
			decode := func(text string) string {
				if strings.Contains(comment, "bom\n") {
					if !strings.HasPrefix(text, "\ufeff") {
						t.Error("the byte order mark is lost")
					}
					text = strings.TrimPrefix(text, "\ufeff")
				}
				if strings.Contains(comment, "crlf\n") {
					if strings.Count(text, "\r\n") != strings.Count(text, "\n") {
						t.Errorf("line ends are mixed: %q", text)
					}
					text = strings.ReplaceAll(text, "\r\n", "\n")
				}
				return text
			}
			var wanted Wanted
			in := map[string]string{}
			want := map[string]string{}
			kept := &txtar.Archive{Comment: archive.Comment}
			for _, f := range archive.Files {
				if n, ok := strings.CutPrefix(f.Name, "in/"); ok {
					in[n] = encode(string(f.Data))
					kept.Files = append(kept.Files, f)
					continue
				}
				if f.Name == "wanted" {
					if err := json.Unmarshal(f.Data, &wanted); err != nil {
						t.Fatal(err)
					}
					kept.Files = append(kept.Files, f)
					continue
				}
				want[f.Name] = string(f.Data)
			}
			result, err := Apply(tree(in), dir, wanted)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for n, text := range result.Files {
				got["out/"+n] = decode(string(text))
				formatted(t, n, in[n], string(text), strings.Contains(comment, "messy\n"))
			}
			var not strings.Builder
			for _, n := range result.Not {
				fmt.Fprintf(&not, "%s %s: %s\n", n.Address, n.Attribute, n.Why)
			}
			if not.Len() > 0 {
				got["not"] = not.String()
			}
			if *update {
				for _, n := range slices.Sorted(maps.Keys(got)) {
					kept.Files = append(kept.Files, txtar.File{Name: n, Data: []byte(got[n])})
				}
				if err := os.WriteFile(name, txtar.Format(kept), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}

			for n, text := range result.Files {
				in[n] = string(text)
			}
			again, err := Apply(tree(in), dir, wanted)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string][]byte(nil), again.Files); diff != "" {
				t.Errorf("a second time: %s", diff)
			}
		})
	}
}

// formatted checks that what was formatted still is.
func formatted(t *testing.T, name, before, after string, messy bool) {
	t.Helper()
	before, after = strings.TrimPrefix(before, "\ufeff"), strings.TrimPrefix(after, "\ufeff")
	before, after = strings.ReplaceAll(before, "\r\n", "\n"), strings.ReplaceAll(after, "\r\n", "\n")
	if clean := string(hclwrite.Format([]byte(before))) == before; clean == messy {
		t.Errorf("%s is formatted: %v", name, clean)
	}
	if diff := cmp.Diff(string(hclwrite.Format([]byte(after))), after); diff != "" && !messy {
		t.Errorf("%s is not formatted any more: %s", name, diff)
	}
}

package page

import (
	"strings"
	"testing"
)

func TestMarkdown(t *testing.T) {
	for _, c := range []struct{ name, in, want, never string }{
		{"marker", "<!-- weir kind=plan job=1 -->\nhello", "<p>hello</p>", "weir kind"},
		{"table", "| a | b |\n|---|--:|\n| 1 | 2 |", `<td align="right">2</td>`, ""},
		{"details", "<details><summary>envs/prod</summary>\n\n**bold**\n\n</details>", "<details><summary>envs/prod</summary>\n<p><strong>bold</strong></p>\n</details>", ""},
		{"diff", "```diff\n+ a\n- b\n! c\n# d\n  e\n```", "<span class=\"add\">+ a\n</span><span class=\"del\">- b\n</span><span class=\"change\">! c\n</span><span class=\"remark\"># d\n</span>", ""},
		{"diff with HTML", "```diff\n+ <script>\n```", "+ &lt;script&gt;", "<script>"},
		{"tasks", "- [x] done", `type="checkbox"`, ""},
		{"bare link", "see https://example.com/x", `<a href="https://example.com/x"`, ""},
		{"script", "a <script>alert(1)</script> b", "", "alert"},
		{"event handler", `<img src="x" onerror="alert(1)">`, `<img src="x"/>`, "onerror"},
		{"script address", `<a href="javascript:alert(1)">x</a> [y](javascript:alert(1))`, "x", `href="javascript`},
		{"hidden script address", "<a href=\"java\tscript:alert(1)\">x</a>", "x", "script:alert"},
		{"style", `<style>body{display:none}</style><p style="position:fixed">x</p>`, "<p>x</p>", "display"},
		{"form", `<form action="/as"><input name="login" value="root"><button>ok</button></form>`, "", "login"},
		{"frame", `<iframe src="https://example.com"></iframe>`, "", "iframe"},
		{"svg", `<svg><a href="javascript:alert(1)">x</a></svg>`, "", "alert"},
		{"unknown element", "<marquee>hi</marquee>", "hi", "marquee"},
		{"class", `<div class="problem" id="merge">x</div>`, "<div>x</div>", "problem"},
	} {
		out, err := markdown(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if !strings.Contains(string(out), c.want) || c.never != "" && strings.Contains(string(out), c.never) {
			t.Errorf("%s: got %s\nwant %q and no %q", c.name, out, c.want, c.never)
		}
	}
}

func TestPatchIsSplitIntoFiles(t *testing.T) {
	files, err := patch("diff --git a/x.tf b/x.tf\nindex 1..2 100644\n--- a/x.tf\n+++ b/x.tf\n@@ -1 +1 @@\n-<a>\n+b\ndiff --git a/img.png b/img.png\nBinary files differ\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2 || files[0].Name != "x.tf" || files[1].Name != "img.png" {
		t.Fatalf("got %+v", files)
	}
	if got := string(files[0].Diff); !strings.Contains(got, `<span class="del">-&lt;a&gt;`) || strings.Contains(got, "index") {
		t.Errorf("got %s", got)
	}
	if got := string(files[1].Diff); !strings.Contains(got, "Binary files differ") {
		t.Errorf("got %s", got)
	}
	if files, err = patch(""); err != nil || len(files) != 0 {
		t.Errorf("nothing gave %+v, %v", files, err)
	}
}

func FuzzMarkdown(f *testing.F) {
	f.Add("<b>x</b> <script>y</script>")
	f.Add("<a href='JAVASCRIPT:x'>")
	f.Add("```diff\n+</code><script>\n```")
	f.Fuzz(func(t *testing.T, in string) {
		out, err := markdown(in)
		if err != nil {
			t.Skip() // nesting beyond what the parser takes
		}
		// Text is escaped, so an angle bracket begins an element that was let pass.
		for _, bad := range []string{"<script", "<style", "<iframe", "<svg", "<!--", "<form"} {
			if strings.Contains(strings.ToLower(string(out)), bad) {
				t.Errorf("%q became %q", in, out)
			}
		}
	})
}

package webhook

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var names = []string{"weir", "atlantis"}

const botLogin = "weir-prod[bot]"

// problem compares only whether there is one and holds the wanted words.
func check(t *testing.T, body string, want []Command) {
	t.Helper()
	got := Parse(body, names, botLogin)
	for i := range min(len(got), len(want)) {
		if w := want[i].Problem; w != "" && strings.Contains(got[i].Problem, w) {
			got[i].Problem = w
		}
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Parse(%q) (-want +got):\n%s", body, diff)
	}
}

func TestCommands(t *testing.T) {
	for line, want := range map[string]Command{
		"weir plan":                           {Verb: Plan},
		"weir apply":                          {Verb: Apply},
		"weir unlock":                         {Verb: Unlock},
		"weir explain":                        {Verb: Explain},
		"weir help":                           {Verb: Help},
		"weir":                                {Verb: Help},
		"weir --help":                         {Verb: Help},
		"weir help plan":                      {Verb: Help},
		"WEIR Plan":                           {Verb: Plan},
		"atlantis plan":                       {Verb: Plan},
		"@weir-prod plan":                     {Verb: Plan},
		"@Weir-Prod[bot] apply":               {Verb: Apply},
		"@weir-prod":                          {Verb: Help},
		"   weir\tplan  ":                     {Verb: Plan},
		"weir\u00a0plan":                      {Verb: Plan},
		`weir "plan"`:                         {Verb: Plan},
		"weir plan -d envs/prod":              {Verb: Plan, Dir: "envs/prod"},
		"weir plan -denvs/prod":               {Verb: Plan, Dir: "envs/prod"},
		"weir plan -d=envs/prod":              {Verb: Plan, Dir: "envs/prod"},
		"weir plan --dir envs/prod":           {Verb: Plan, Dir: "envs/prod"},
		"weir plan --dir=envs/prod":           {Verb: Plan, Dir: "envs/prod"},
		"weir plan -d ./envs//prod/":          {Verb: Plan, Dir: "envs/prod"},
		"weir plan -d .":                      {Verb: Plan, Dir: "."},
		"weir plan -d 'my envs/prod'":         {Verb: Plan, Dir: "my envs/prod"},
		`weir plan -d my\ envs`:               {Verb: Plan, Dir: "my envs"},
		"weir plan -d envs -w stage":          {Verb: Plan, Dir: "envs", Workspace: "stage"},
		"weir plan --workspace=stage":         {Verb: Plan, Workspace: "stage"},
		"weir apply -p network":               {Verb: Apply, Project: "network"},
		"weir apply --project net-1":          {Verb: Apply, Project: "net-1"},
		"weir unlock -d a":                    {Verb: Unlock, Dir: "a"},
		"weir plan -- -target=a.b":            {Verb: Plan, Extra: []string{"-target=a.b"}},
		"weir plan -- -target a.b --destroy":  {Verb: Plan, Extra: []string{"-target=a.b", "-destroy"}},
		`weir plan -- -target='a["x y"]'`:     {Verb: Plan, Extra: []string{`-target=a["x y"]`}},
		`weir plan -- -replace a[\"x\"]`:      {Verb: Plan, Extra: []string{`-replace=a["x"]`}},
		`weir plan -- -var "a=b \"c\" \\ d"`:  {Verb: Plan, Extra: []string{`-var=a=b "c" \ d`}},
		"weir plan -- -refresh=false":         {Verb: Plan, Extra: []string{"-refresh=false"}},
		"weir plan -- -parallelism=3":         {Verb: Plan, Extra: []string{"-parallelism=3"}},
		"weir plan -- -var-file=prod.tfvars":  {Verb: Plan, Extra: []string{"-var-file=prod.tfvars"}},
		"weir plan -d a/b -- -var-file=../x":  {Verb: Plan, Dir: "a/b", Extra: []string{"-var-file=../x"}},
		"weir plan --":                        {Verb: Plan},
		"weir plan <!-- only prod --> -d a":   {Verb: Plan, Dir: "a"},
		"weir plan # not a comment":           {Verb: Help, Problem: "I do not know what `#` means here"},
		"weir plna":                           {Verb: Help, Problem: "did you mean `plan`?"},
		"weir aply -d x":                      {Verb: Help, Problem: "did you mean `apply`?"},
		"weir plan.":                          {Verb: Help, Problem: "did you mean `plan`?"},
		"weir plans":                          {Verb: Help, Problem: "did you mean `plan`?"},
		"weir destroy":                        {Verb: Help, Problem: "There is no command `destroy`."},
		"weir deploy the thing":               {Verb: Help, Problem: "There is no command `deploy`."},
		"weir import -d x":                    {Verb: Help, Problem: "There is no command `import`"},
		"weir -d x plan":                      {Verb: Help, Problem: "There is no command `-d`"},
		"weir plan prod":                      {Verb: Help, Problem: "`-d DIR`"},
		"weir plan -x":                        {Verb: Help, Problem: "There is no option `-x`."},
		"weir plan --dri=a":                   {Verb: Help, Problem: "did you mean `--dir`?"},
		"weir plan -dir a":                    {Verb: Help, Problem: "There is no option `-dir`: did you mean `--dir`?"},
		"weir plan -d":                        {Verb: Help, Problem: "The option `-d` needs a value."},
		"weir plan -d --":                     {Verb: Help, Problem: "The option `-d` needs a value."},
		"weir plan -d a -d b":                 {Verb: Help, Problem: "is there twice"},
		"weir plan -d a --dir b":              {Verb: Help, Problem: "is there twice"},
		"weir plan -d ''":                     {Verb: Help, Problem: "is empty"},
		"weir plan -d -w":                     {Verb: Help, Problem: "begins with a dash"},
		"weir plan -d ./-w":                   {Verb: Help, Problem: "begins with a dash"},
		"weir plan -d /etc":                   {Verb: Help, Problem: "is absolute"},
		"weir plan -d ..":                     {Verb: Help, Problem: "has `..` in it"},
		"weir plan -d a/../b":                 {Verb: Help, Problem: "has `..` in it"},
		`weir plan -d envs\prod`:              {Verb: Help, Problem: "has a backslash in it"},
		"weir plan -d a\x00b":                 {Verb: Help, Problem: "cannot be printed"},
		"weir plan -d a/.Git/hooks":           {Verb: Help, Problem: "is Git's own"},
		"weir plan -w a/b":                    {Verb: Help, Problem: "no name that Terraform allows"},
		"weir plan -w ..":                     {Verb: Help, Problem: "no name that Terraform allows"},
		"weir plan -p a -d b":                 {Verb: Help, Problem: "`-p` goes without `-d` and `-w`"},
		"weir plan -w b -p a":                 {Verb: Help, Problem: "`-p` goes without `-d` and `-w`"},
		"weir plan -p a -d b -- -destroy":     {Verb: Help, Problem: "`-p` goes without `-d` and `-w`"},
		"weir plan 'a":                        {Verb: Help, Problem: "is never closed"},
		"weir plan —dir a":                    {Verb: Help, Problem: "is a long one"},
		"weir plan -- -out=x":                 {Verb: Help, Problem: "The argument `-out` is refused: weir keeps the plan file"},
		"weir plan -- --out x":                {Verb: Help, Problem: "The argument `-out` is refused"},
		"weir plan -- -chdir=..":              {Verb: Help, Problem: "`-chdir` is refused"},
		"weir plan -- -state=x":               {Verb: Help, Problem: "`-state` is refused"},
		"weir plan -- -state-out=x":           {Verb: Help, Problem: "`-state-out` is refused"},
		"weir plan -- -lock=false":            {Verb: Help, Problem: "`-lock` is refused"},
		"weir plan -- -backend-config=x":      {Verb: Help, Problem: "`-backend-config` is refused"},
		"weir plan -- -auto-approve":          {Verb: Help, Problem: "`-auto-approve` is refused"},
		"weir plan -- -tarqet=x":              {Verb: Help, Problem: "did you mean `-target`?"},
		"weir plan -- x":                      {Verb: Help, Problem: "arguments begin with a dash"},
		"weir plan -- -target":                {Verb: Help, Problem: "needs a value"},
		"weir plan -- -target=":               {Verb: Help, Problem: "needs a value"},
		"weir plan -- -destroy=yes":           {Verb: Help, Problem: "either `true` or `false`"},
		"weir plan -- -parallelism=0":         {Verb: Help, Problem: "from 1 to 256"},
		"weir plan -- -var a":                 {Verb: Help, Problem: "`-var NAME=VALUE`"},
		"weir plan -- -var-file=/etc/passwd":  {Verb: Help, Problem: "outside of the repository"},
		"weir plan -- -var-file=~/x":          {Verb: Help, Problem: "outside of the repository"},
		"weir plan -- -var-file=../x":         {Verb: Help, Problem: "needs `-d DIR`"},
		"weir plan -d a -- -var-file=../../x": {Verb: Help, Problem: "outside of the repository"},
		"weir plan -- -var-file=.git/config":  {Verb: Help, Problem: "is Git's own"},
		"weir apply -- -target=x":             {Verb: Help, Problem: "what is applied is the plan as it was approved"},
		"weir unlock -- -force":               {Verb: Help, Problem: "Only `plan` takes arguments"},
		"weir help -- -x":                     {Verb: Help, Problem: "Only `plan` takes arguments"},
		// Nobody is notified by what weir repeats, and no code span is left.
		"weir `@acme/all`":    {Verb: Help, Problem: "There is no command `'@acme/all'`."},
		"weir plan `@acme`-x": {Verb: Help, Problem: "`'@acme'-x`"},
	} {
		check(t, line, []Command{want})
	}
}

// TestDriftCommands holds what is asked for about drift.
func TestDriftCommands(t *testing.T) {
	accepted := func(addresses ...string) *Drifted {
		return &Drifted{Verb: DriftAccept, Addresses: addresses, Owner: "acme/platform", Reason: "they test", Until: "2026-12-31"}
	}
	const why = ` --owner acme/platform --reason "they test" --until 2026-12-31`
	web, blue := "aws_instance.web", `module.a["x"].aws_instance.web["blue"]`
	for line, want := range map[string]Command{
		"weir drift check":                                                                          {Verb: Drift, Drift: &Drifted{Verb: DriftCheck}},
		"weir Drift Check -d envs/prod -w blue":                                                     {Verb: Drift, Dir: "envs/prod", Workspace: "blue", Drift: &Drifted{Verb: DriftCheck}},
		"weir drift revert -p network":                                                              {Verb: Drift, Project: "network", Drift: &Drifted{Verb: DriftRevert}},
		"weir drift adopt aws_instance.web":                                                         {Verb: Drift, Drift: &Drifted{Verb: DriftAdopt, Addresses: []string{web}}},
		"weir drift adopt -d a aws_instance.web":                                                    {Verb: Drift, Dir: "a", Drift: &Drifted{Verb: DriftAdopt, Addresses: []string{web}}},
		"weir drift adopt aws_instance.web -d a":                                                    {Verb: Drift, Dir: "a", Drift: &Drifted{Verb: DriftAdopt, Addresses: []string{web}}},
		"weir drift adopt # change the code":                                                        {Verb: Drift, Drift: &Drifted{Verb: DriftAdopt}},
		"weir drift adopt aws_instance.web a.b[0] a.b[0]":                                           {Verb: Drift, Drift: &Drifted{Verb: DriftAdopt, Addresses: []string{web, "a.b[0]"}}},
		`weir drift adopt 'module.a["x"].aws_instance.web["blue"]'`:                                 {Verb: Drift, Drift: &Drifted{Verb: DriftAdopt, Addresses: []string{blue}}},
		`weir drift adopt module.a["x"].aws_instance.web["blue"]`:                                   {Verb: Drift, Drift: &Drifted{Verb: DriftAdopt, Addresses: []string{blue}}},
		`weir drift adopt 'a.b["x[y]"]'`:                                                            {Verb: Drift, Drift: &Drifted{Verb: DriftAdopt, Addresses: []string{`a.b["x[y]"]`}}},
		"weir drift revert output.url data.http.x":                                                  {Verb: Drift, Drift: &Drifted{Verb: DriftRevert, Addresses: []string{"output.url", "data.http.x"}}},
		"weir drift accept" + why:                                                                   {Verb: Drift, Drift: accepted()},
		"weir drift accept --owner @acme/platform --reason='they test' --until=2026-12-31 -d x a.b": {Verb: Drift, Dir: "x", Drift: accepted("a.b")},
		"weir help drift":                                                                           {Verb: Help},
		"weir dirft check":                                                                          {Verb: Help, Problem: "did you mean `drift`?"},
		"weir drift":                                                                                {Verb: Help, Problem: "What about the drift? There is `drift check`"},
		"weir drift -d a":                                                                           {Verb: Help, Problem: "What about the drift?"},
		"weir drift rever":                                                                          {Verb: Help, Problem: "did you mean `revert`?"},
		"weir drift destroy":                                                                        {Verb: Help, Problem: "There is no command `drift` with `destroy`: it is `drift check`"},
		"weir drift check a.b":                                                                      {Verb: Help, Problem: "`drift check` is about whole projects"},
		"weir drift adopt prod":                                                                     {Verb: Help, Problem: "`prod` is not the address of a resource"},
		"weir drift adopt envs/prod":                                                                {Verb: Help, Problem: "A directory is written `-d DIR`"},
		"weir drift adopt a.b[":                                                                     {Verb: Help, Problem: "is not the address"},
		"weir drift adopt `a.b`":                                                                    {Verb: Help, Problem: "is not the address"},
		"weir drift adopt module.a":                                                                 {Verb: Drift, Drift: &Drifted{Verb: DriftAdopt, Addresses: []string{"module.a"}}},
		"weir drift adopt a." + strings.Repeat("b", 500):                                            {Verb: Help, Problem: "is too long"},
		"weir drift adopt --owner bob":                                                              {Verb: Help, Problem: "There is no option `--owner`"},
		"weir plan --until 2026-12-31":                                                              {Verb: Help, Problem: "There is no option `--until`."},
		"weir drift accept --ower bob":                                                              {Verb: Help, Problem: "did you mean `--owner`?"},
		"weir drift accept a.b":                                                                     {Verb: Help, Problem: "needs `--owner NAME`"},
		"weir drift accept --owner bob":                                                             {Verb: Help, Problem: "needs `--reason"},
		"weir drift accept --owner bob --reason x":                                                  {Verb: Help, Problem: "needs `--until YYYY-MM-DD`"},
		"weir drift accept --owner a/b/c --reason x --until 2026-12-31":                             {Verb: Help, Problem: "neither a login nor a team"},
		"weir drift accept --owner bob --reason ' ' --until 2026-12-31":                             {Verb: Help, Problem: "The reason is empty"},
		"weir drift accept --owner bob --reason x --until 2026-02-30":                               {Verb: Help, Problem: "is not a day"},
		"weir drift accept --owner bob --reason x --until YYYY-MM-DD":                               {Verb: Help, Problem: "is not a day"},
		"weir drift accept --owner bob --owner ann":                                                 {Verb: Help, Problem: "is there twice"},
		"weir drift accept" + why + " -p a -d b":                                                    {Verb: Help, Problem: "`-p` goes without `-d` and `-w`"},
		"weir drift check -- -target=x":                                                             {Verb: Help, Problem: "Only `plan` takes arguments"},
		"weir drifts":                                                                               {Verb: Help, Problem: "did you mean `drift`?"},
	} {
		check(t, line, []Command{want})
	}
	imported := func(id string) Command {
		return Command{Verb: Drift, Drift: &Drifted{Verb: DriftAdopt, Addresses: []string{web}, IDs: map[string]string{web: id}}}
	}
	keyed := func(address, id string) Command {
		return Command{Verb: Drift, Drift: &Drifted{Verb: DriftAdopt, Addresses: []string{address}, IDs: map[string]string{address: id}}}
	}
	for line, want := range map[string]Command{
		web + "=i-0abc":                     imported("i-0abc"),
		web + "=arn:aws:iam::1:role/a=b":    imported("arn:aws:iam::1:role/a=b"),
		web + "=a.b=c":                      imported("a.b=c"),
		web + "=/subscriptions/1/x-#":       imported("/subscriptions/1/x-#"),
		web + "='two words'":                imported("two words"),
		"'" + web + "=two words'":           imported("two words"),
		web + `='{"a": ["b"]}'`:             imported(`{"a": ["b"]}`),
		web + `=it\'s`:                      imported("it's"),
		web + `="say \"a\""`:                imported(`say "a"`),
		web + "=-x":                         imported("-x"),
		web + "=${x}%{y}`@acme/all`":        imported("${x}%{y}`@acme/all`"),
		web + "=i-1 " + web + "=i-1 " + web: imported("i-1"),
		web + " " + web + "=i-1":            imported("i-1"),
		web + "=i-1 # made by hand":         imported("i-1"),
		`'` + blue + `=i-1'`:                keyed(blue, "i-1"),
		blue + `=i-1`:                       keyed(blue, "i-1"),
		`'a.b["x=y"]=z'`:                    keyed(`a.b["x=y"]`, "z"),
		`a.b["x=y"]=z`:                      keyed(`a.b["x=y"]`, "z"),
		`a.b[0]=z[1]`:                       keyed("a.b[0]", "z[1]"),
		`'a.b["]="]=z["]'`:                  keyed(`a.b["]="]`, `z["]`),
		web + "=i-1 a.b": {Verb: Drift, Drift: &Drifted{
			Verb: DriftAdopt, Addresses: []string{web, "a.b"}, IDs: map[string]string{web: "i-1"},
		}},

		web + "=":                                {Verb: Help, Problem: "The id of `" + web + "` is empty"},
		web + "= i-1":                            {Verb: Help, Problem: "is empty: it is written `ADDRESS=ID`, without spaces"},
		web + " = i-1":                           {Verb: Help, Problem: "There is no address before the equals sign of `=`"},
		web + " =i-1":                            {Verb: Help, Problem: "There is no address before the equals sign of `=i-1`"},
		web + "=' '":                             {Verb: Help, Problem: "is empty"},
		web + "=i-1 " + web + "=i-2":             {Verb: Help, Problem: "is there with two ids"},
		"prod=i-1":                               {Verb: Help, Problem: "`prod=i-1` is not the address of a resource"},
		"data.http.x=i-1":                        {Verb: Help, Problem: "`data.http.x` cannot be imported"},
		"module.a.data.x.y=i":                    {Verb: Help, Problem: "cannot be imported"},
		"output.url=i-1":                         {Verb: Help, Problem: "cannot be imported"},
		"module.a=i-1":                           {Verb: Help, Problem: "cannot be imported"},
		"module.a.module.b=i":                    {Verb: Help, Problem: "cannot be imported"},
		web + "=" + strings.Repeat("i", maxID+1): {Verb: Help, Problem: "2,048 bytes are the most"},
		web + "=a\u202eb":                        {Verb: Help, Problem: "characters in it that cannot be printed"},
		web + "=a\x00b":                          {Verb: Help, Problem: "characters in it that cannot be printed"},
	} {
		check(t, "weir drift adopt "+line, []Command{want})
	}
	for _, verb := range []string{DriftRevert, DriftAccept} {
		check(t, "weir drift "+verb+" a.b=c", []Command{{Verb: Help, Problem: "Only `drift adopt` takes ids behind addresses, as in `a.b=c`"}})
	}
	check(t, "weir drift check a.b=c", []Command{{Verb: Help, Problem: "`drift check` is about whole projects"}})
	ids := &strings.Builder{}
	for i := range maxIDs + 1 {
		fmt.Fprintf(ids, " a.b[%d]=%d", i, i)
	}
	check(t, "weir drift adopt"+ids.String(), []Command{{Verb: Help, Problem: "At most 20 resources can be imported"}})

	check(t, "weir drifted away from us", nil)
	check(t, "weir drift adopt"+strings.Repeat(" a.b", 60), []Command{{Verb: Drift, Drift: &Drifted{Verb: DriftAdopt, Addresses: []string{"a.b"}}}})
	var many strings.Builder
	for i := range maxAddresses + 1 {
		fmt.Fprintf(&many, " a.b[%d]", i)
	}
	check(t, "weir drift adopt"+many.String(), []Command{{Verb: Help, Problem: "At most 50 addresses"}})
}

// TestCommandsHaveTheirPlace reads the same commands on a pull request and on
// an issue.
func TestCommandsHaveTheirPlace(t *testing.T) {
	for line, want := range map[string]struct{ pull, issue string }{
		"weir plan":         {"", "The command `plan` is for pull requests."},
		"weir apply -d a":   {"", "The command `apply` is for pull requests."},
		"weir unlock":       {"", "The command `unlock` is for pull requests."},
		"weir explain":      {"", "The command `explain` is for pull requests."},
		"weir drift check":  {"", ""},
		"weir drift revert": {"The command `drift revert` is for the issue", ""},
		"weir drift adopt":  {"The command `drift adopt` is for the issue", ""},
		"weir drift accept --owner a --reason b --until 2026-12-31": {"The command `drift accept` is for the issue", ""},
		"weir help":  {"", ""},
		"weir plann": {"There is no command `plann`", "There is no command `plann`"},
	} {
		c := Parse(line, names, botLogin)[0]
		for issue, problem := range map[bool]string{false: want.pull, true: want.issue} {
			got := c.On(issue)
			switch {
			case problem == "" && !cmp.Equal(c, got):
				t.Errorf("%s, on an issue %v: it became %+v", line, issue, got)
			case problem != "" && (got.Verb != Help || !strings.Contains(got.Problem, problem)):
				t.Errorf("%s, on an issue %v: %+v, want %q", line, issue, got, problem)
			}
			checkCommand(t, got)
		}
	}
}

// TestProse holds lines that begin with the name and are not meant for weir.
func TestProse(t *testing.T) {
	for _, line := range []string{
		"weir is great",
		"weir, please",
		"weir's plan is wrong",
		"weir: plan",
		"weirs plan",
		"weird plan",
		"weir has planned this twice already",
		"weir plans this in three seconds",
		"weir applied it, thanks!",
		"Weir doesn’t like this",
		"weir - a bot",
		"weir — a bot for Terraform",
		"weir team says hello, and thanks.",
		"the command is weir plan",
		"run `weir plan`",
		"`weir plan`",
		"**weir plan**",
		"- weir plan",
		"* [ ] weir plan",
		"1. weir plan",
		"# weir plan",
		"| weir plan |",
		"@weir plan", // somebody else's login
		"@weir-prod2 plan",
		"@weir-prod, plan",
		"",
	} {
		check(t, line, nil)
	}
}

func TestCommandLines(t *testing.T) {
	plan, apply := Command{Verb: Plan}, Command{Verb: Apply}
	for name, tt := range map[string]struct {
		body string
		want []Command
	}{
		"several":             {"hello\r\n\r\nweir plan\r\nweir apply\r\n", []Command{plan, apply}},
		"old line ends":       {"hello\rweir plan", []Command{plan}},
		"fence":               {"```\nweir apply\n```\nweir plan", []Command{plan}},
		"fence with language": {"```sh\nweir apply\n```\nweir plan", []Command{plan}},
		"tildes":              {"~~~\nweir apply\n```\nweir apply\n~~~\nweir plan", []Command{plan}},
		"longer fence":        {"````\n```\nweir apply\n```\n````\nweir plan", []Command{plan}},
		"no fence":            {"```weir apply```\nweir plan", []Command{plan}},
		"open fence":          {"```\nweir apply", nil},
		"indented fence":      {"   ```\nweir apply\n   ```\nweir plan", []Command{plan}},
		"indented code":       {"text\n\n    weir apply\n\tweir apply\n  \tweir apply\n\nweir plan", []Command{plan}},
		"code fence in code":  {"text\n\n    ```\n\nweir plan", []Command{plan}},
		"quote":               {"> weir apply\n>weir apply\n  > weir apply\n\nweir plan", []Command{plan}},
		"fence in quote":      {"> ```\n\nweir plan", []Command{plan}},
		"comment":             {"<!-- weir apply -->\n<!--\nweir apply\n\nweir apply\n-->\nweir plan", []Command{plan}},
		"after a comment":     {"<!-- x\n--> weir apply\nweir plan", []Command{plan}},
		"open comment":        {"<!-- x\n\nweir apply", nil},
		"comment in a line":   {"text <!-- a\nweir apply\n--> text\nweir plan", []Command{plan}},
		"never closed":        {"text <!-- a\n\nweir plan", []Command{plan}},
		"comment in code":     {"type `<!--` first\nweir plan\n--> x", []Command{plan}},
		"comment in fence":    {"```\n<!--\n```\nweir plan", []Command{plan}},
		"fence in comment":    {"<!--\n```\n-->\nweir plan", []Command{plan}},
		"pre":                 {"<pre>\nweir apply\n\nweir apply</pre>\nweir plan", []Command{plan}},
		"details":             {"<details>\n\nweir plan\n\n</details>", []Command{plan}},
		"list fence":          {"- run\n  ```\n  weir apply\n  ```\n\nweir plan", []Command{plan}},
		"fence in item":       {"- ```\n  weir apply\n  ```\nweir plan", []Command{plan}},
		"deep list fence":     {"1. a\n   - b\n\n     ```\n     weir apply\n     ```\n\nweir plan", []Command{plan}},
		"list ends fence":     {"- ```\n  weir apply\nweir plan", []Command{plan}},
		"marker":              {"<!-- weir kind=plan job=1 -->\nweir plan", []Command{plan}},
	} {
		t.Run(name, func(t *testing.T) { check(t, tt.body, tt.want) })
	}
}

func TestAtMostTenCommands(t *testing.T) {
	got := Parse(strings.Repeat("weir plan\n", 10), names, "")
	if len(got) != 10 || slices.ContainsFunc(got, func(c Command) bool { return c.Verb != Plan }) {
		t.Errorf("ten commands: got %v", got)
	}
	got = Parse(strings.Repeat("weir plan\n", 12), names, "")
	if len(got) != MaxCommands || got[8].Verb != Plan || got[9].Verb != Help || got[9].Problem == "" {
		t.Errorf("twelve commands: got %v", got)
	}
}

func TestNoNames(t *testing.T) {
	for _, body := range []string{"weir plan", "@ plan", " plan", "plan", "@[bot] plan"} {
		if got := Parse(body, []string{""}, ""); len(got) != 0 {
			t.Errorf("Parse(%q) without names = %v", body, got)
		}
	}
}

// The time that a comment takes grows with its length and not faster.
func TestLongComments(t *testing.T) {
	for _, line := range []string{"a <!-- b\n", "<!-- -->\n", "weir " + strings.Repeat("x", 200) + " y z.\n", "- - - -\n", "```\n", "> \n", "`<!--` "} {
		Parse(strings.Repeat(line, 1<<20/len(line)), names, botLogin)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"weir plan -d envs/prod -w x -- -var-file=../a -target='a[\"b\"]'", "@weir-prod[bot] apply -p 'a b'",
		"```\nweir\n```", "<!--\n-->", "- ~~~\n  x", "> weir plan", "weir plan -d a\\b", "weir plan -d \"a", "\tweir", "weir is great", "weir plan -d a\u00a0b",
		"weir drift accept --owner @acme/x --reason='--' --until 2026-12-31 'module.a[\"x\"].b.c[0]' output.x # y", "weir drift adopt a.b[c d]",
		`weir drift adopt 'a.b["x=]"]=i "j"' c.d=e=f a.b[k]=' '`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		commands := Parse(body, names, botLogin)
		if len(commands) > MaxCommands {
			t.Fatalf("%d commands", len(commands))
		}
		for _, c := range commands {
			checkCommand(t, c)
		}
	})
}

// checkCommand holds what every command promises.
func checkCommand(t *testing.T, c Command) {
	t.Helper()
	if c.Problem != "" {
		if diff := cmp.Diff(Command{Verb: Help, Problem: c.Problem}, c); diff != "" {
			t.Errorf("a command with a problem says more:\n%s", diff)
		}
		return
	}
	if d := c.Dir; d != "" {
		if path.Clean(d) != d || path.IsAbs(d) || d == ".." || strings.HasPrefix(d, "../") || strings.HasPrefix(d, "-") || strings.ContainsAny(d, "\x00\\\n") {
			t.Errorf("directory %q", d)
		}
	}
	if c.Project != "" && (c.Dir != "" || c.Workspace != "") {
		t.Errorf("project and directory: %+v", c)
	}
	if c.Extra != nil && c.Verb != Plan {
		t.Errorf("arguments for %s: %q", c.Verb, c.Extra)
	}
	for _, e := range c.Extra {
		name, file, _ := strings.Cut(e, "=")
		if _, ok := extras[name]; !ok {
			t.Errorf("argument %q", e)
		}
		if p := path.Join(c.Dir, file); name == "-var-file" && (path.IsAbs(file) || p == ".." || strings.HasPrefix(p, "../")) {
			t.Errorf("argument %q of %q leaves the checkout", e, c.Dir)
		}
	}
	if (c.Drift != nil) != (c.Verb == Drift) {
		t.Errorf("%s with %+v", c.Verb, c.Drift)
	}
	if d := c.Drift; d != nil {
		if accept := d.Owner != "" && d.Reason != "" && d.Until != ""; !slices.Contains(driftVerbs, d.Verb) || accept != (d.Verb == DriftAccept) {
			t.Errorf("drift command %+v", d)
		}
		for _, a := range d.Addresses {
			if !addressForm.MatchString(a) || len(a) > maxAddress || !plain(a) {
				t.Errorf("address %q", a)
			}
		}
		for a, id := range d.IDs {
			if d.Verb != DriftAdopt || !slices.Contains(d.Addresses, a) || id == "" || len(id) > maxID || !plain(id) || len(d.IDs) > maxIDs {
				t.Errorf("id %q of %q for %s", id, a, d.Verb)
			}
		}
	}
	again := Parse(c.Line("weir"), names, "")
	if diff := cmp.Diff([]Command{c}, again, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%q is read as another command (-want +got):\n%s", c.Line("weir"), diff)
	}
}

func ExampleCommand_Line() {
	for _, c := range Parse("weir plan --dir='my envs' -- -target 'a[\"b\"]'", []string{"weir"}, "") {
		fmt.Println(c.Line("weir"))
	}
	// Output: weir plan -d 'my envs' -- '-target=a["b"]'
}

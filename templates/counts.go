package templates

import (
	"fmt"
	"strings"

	"weir/planner/record"
	"weir/planner/terraform"
)

// totals adds up what the plans of several projects do.
type totals struct {
	create, update, replace, remove int
	imported, moved, forgotten      int
	read, outputs, invoked          int
}

func (t *totals) add(s *terraform.Summary) {
	if s == nil {
		return
	}
	t.create += s.Create
	t.update += s.Update
	t.replace += s.Replace
	t.remove += s.Delete
	t.imported += s.Import
	t.moved += s.Move
	t.forgotten += s.Forget
	t.read += s.Read
	t.outputs += len(s.Outputs)
	t.invoked += len(s.Invokes)
}

// future says "1 to destroy, 2 to change", the worst first; "" where nothing
// happens.
func (t totals) future() string {
	return t.words("%d to %s", [...]string{"destroy", "replace", "forget", "create", "change", "import", "move"},
		"only actions are invoked", "only outputs change", "only data is read")
}

// past says "1 destroyed, 2 changed".
func (t totals) past() string {
	return t.words("%d %s", [...]string{"destroyed", "replaced", "forgotten", "created", "changed", "imported", "moved"},
		"only actions were invoked", "only outputs changed", "only data was read")
}

func (t totals) words(format string, verbs [7]string, onlyActions, onlyOutputs, onlyRead string) string {
	var words []string
	for i, n := range [...]int{t.remove, t.replace, t.forgotten, t.create, t.update, t.imported, t.moved} {
		if n > 0 {
			words = append(words, fmt.Sprintf(format, n, verbs[i]))
		}
	}
	switch {
	case len(words) > 0:
		return strings.Join(words, ", ")
	case t.invoked > 0:
		return onlyActions
	case t.outputs > 0:
		return onlyOutputs
	case t.read > 0:
		return onlyRead
	}
	return ""
}

// future says what the plan of one project would do.
func future(s *terraform.Summary) string {
	var t totals
	t.add(s)
	if words := t.future(); words != "" {
		return words
	}
	return "no changes"
}

// past says what the apply of one project did.
func past(s *terraform.Summary) string {
	var t totals
	t.add(s)
	if words := t.past(); words != "" {
		return words
	}
	return "nothing changed"
}

// states in words, as tables show them.
var states = map[record.State]string{
	record.Pending:     "not planned",
	record.Planning:    "being planned",
	record.Planned:     "planned",
	record.NoChanges:   "no changes",
	record.PlanFailed:  "plan failed",
	record.Applying:    "being applied",
	record.Applied:     "applied",
	record.ApplyFailed: "apply failed",
	record.Interrupted: "interrupted",
	record.Skipped:     "skipped",
}

func stateWords(s record.State) string {
	if words := states[s]; words != "" {
		return words
	}
	return string(s)
}

func failedState(s record.State) bool {
	return s == record.PlanFailed || s == record.ApplyFailed
}

package kind

import "strings"

// block is the address of the block that configures a resource: its own
// address without keys. `module.a["x.y"].aws_b.c[0]` is module.a.aws_b.c.
func block(address string) string {
	var out strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(address); i++ {
		switch c := address[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[':
			depth++
		case c == ']':
			depth--
		case depth > 0:
		case c == ' ':
			return out.String() // " (deposed object …)"
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// calls are the names of the modules that a block is in, the outermost first.
func calls(config string) []string {
	var names []string
	for {
		rest, ok := strings.CutPrefix(config, "module.")
		if !ok {
			return names
		}
		name, rest, _ := strings.Cut(rest, ".")
		names, config = append(names, name), rest
	}
}

// inModule splits an address without keys behind its module calls.
func inModule(config string) (module, rest string) {
	rest = config
	for strings.HasPrefix(rest, "module.") {
		_, after, ok := strings.Cut(rest[len("module."):], ".")
		if !ok {
			break // a module as a whole
		}
		rest = after
	}
	return strings.TrimSuffix(config, rest), rest
}

// upstream splits a reference to a managed resource into the address of its
// block and an attribute, "" for all. Of other references it returns "".
func upstream(reference string) (config, attribute string) {
	module, rest := inModule(reference)
	parts := strings.SplitN(rest, ".", 3)
	if len(parts) < 2 {
		return "", ""
	}
	switch parts[0] {
	case "var", "local", "data", "module", "output":
		return "", ""
	}
	config = module + parts[0] + "." + parts[1]
	if len(parts) == 3 {
		attribute = parts[2]
	}
	return config, attribute
}

// find is the first reference of a kind ("data."), in whatever module.
func find(references []string, prefix string) string {
	for _, reference := range references {
		if _, rest := inModule(reference); strings.HasPrefix(rest, prefix) {
			return reference
		}
	}
	return ""
}

// begins says whether address is prefix or something within it.
func begins(address, prefix string) bool {
	return prefix != "" && (address == prefix || strings.HasPrefix(address, prefix+"."))
}

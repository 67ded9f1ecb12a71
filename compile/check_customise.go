package compile

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"canvos.dev/compile/plan"
)

// checkCustomisation looks at commands that a person adds to the OS stage for
// what cannot work there. It reads shell as people write it; what it does not
// understand it leaves alone.
func (s *subject) checkCustomisation() {
	for i, r := range s.Run {
		for _, why := range troubles(r.V) {
			s.report("CV0134", "run["+itoa(i)+"]", r.At, why.what, why.help)
		}
	}
	text, ok := s.text("dockerfile", s.Dockerfile)
	if !ok {
		return
	}
	named := &namedFiles{}
	d := dockerfile{recipe: &recipe{walk: &walk{in: named}, f: s.Family}, dir: path.Dir(s.Dockerfile.V), run: plan.Run{Env: map[string]string{}}}
	for _, in := range instructions(string(text)) {
		place := s.Dockerfile.V + ":" + itoa(in.line) + ": "
		named.names = nil
		if err := d.instruction(in); err != nil {
			s.report("CV0120", "dockerfile", s.Dockerfile.At, place+err.Error(), instructionsHelp)
		}
		for _, name := range named.names {
			f := Field[string]{V: name, At: s.Dockerfile.At, Set: true}
			if p := unlocated(s.files, s.files.find(name), f, eitherOne); p != nil {
				s.report(p.Code, "dockerfile", f.At, place+p.Message, p.Help)
			}
		}
		for _, why := range in.troubles() {
			s.report("CV0134", "dockerfile", s.Dockerfile.At, place+why.what, why.help)
		}
	}
}

// namedFiles are inputs that only write down which local files are asked for.
type namedFiles struct{ names []string }

func (n *namedFiles) image(string, string, asker) plan.Digest { return "" }

func (n *namedFiles) local(name string, _ asker) localInput {
	n.names = append(n.names, name)
	return localInput{name: name}
}

// trouble is why a command will not do what it says.
type trouble struct{ what, help string }

// An instruction of a Dockerfile, its continued lines joined.
type instruction struct {
	line int // where it begins
	name string
	rest string
}

// instructions takes a Dockerfile apart.
func instructions(text string) []instruction {
	var out []instruction
	joined, first := "", 0
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		if strings.HasPrefix(strings.TrimSpace(line), "#") || joined == "" && line == "" {
			continue
		}
		if joined == "" {
			first = i + 1
		}
		if cut, more := strings.CutSuffix(line, `\`); more {
			joined += cut + " "
			continue
		}
		name, rest, _ := strings.Cut(strings.TrimSpace(joined+line), " ")
		out = append(out, instruction{first, strings.ToUpper(name), strings.TrimSpace(rest)})
		joined = ""
	}
	return out
}

func (in instruction) troubles() []trouble {
	switch in.name {
	case "RUN":
		return troubles(in.rest)
	case "COPY", "ADD":
		words := strings.Fields(strings.NewReplacer("[", " ", "]", " ", ",", " ", `"`, " ").Replace(in.rest))
		if len(words) > 0 && hidden(words[len(words)-1]) {
			return []trouble{underLocal(words[len(words)-1])}
		}
	}
	return nil
}

// separators divide a shell line into commands.
var separators = regexp.MustCompile(`&&|\|\||[;|\n]`)

// reading are commands that only look, or take away.
var reading = []string{"rm", "ls", "test", "[", "cat", "stat", "find", "grep", "export", "echo"}

// copying are commands that write to their last word.
var copying = []string{"cp", "mv", "ln", "install", "rsync"}

// troubles reads the commands of a shell line.
func troubles(line string) []trouble {
	var out []trouble
	quiet := strings.Contains(line, "APT::Get::Assume-Yes")
	for _, command := range separators.Split(line, -1) {
		words := strings.Fields(command)
		for len(words) > 0 && (strings.Contains(words[0], "=") || words[0] == "sudo" || words[0] == "env" || strings.HasPrefix(words[0], "--mount")) {
			words = words[1:] // variables before the command
		}
		if len(words) == 0 {
			continue
		}
		if asks := asking(words); asks.what != "" && !quiet {
			out = append(out, asks)
		}
		if p := hiddenPath(words); p != "" {
			out = append(out, underLocal(p))
		}
	}
	return out
}

// asking is a package manager that waits for an answer.
func asking(words []string) trouble {
	yes := func(flags ...string) bool {
		return slices.ContainsFunc(words[1:], func(w string) bool {
			short := len(w) > 1 && w[0] == '-' && w[1] != '-' && strings.ContainsRune(w, rune(flags[0][1]))
			return short || slices.Contains(flags, w)
		})
	}
	does := func(verbs ...string) bool {
		return slices.ContainsFunc(words[1:], func(w string) bool { return slices.Contains(verbs, w) })
	}
	command := lastPart(words[0])
	switch {
	case (command == "apt-get" || command == "apt") && does("install", "upgrade", "dist-upgrade", "full-upgrade", "remove", "purge", "autoremove") && !yes("-y", "--yes", "--assume-yes", "-qq"):
		return trouble{command + " without -y asks, and nobody can answer", "write " + command + " -y"}
	case (command == "yum" || command == "dnf" || command == "microdnf") && does("install", "upgrade", "update", "remove", "erase", "groupinstall") && !yes("-y", "--assumeyes"):
		return trouble{command + " without -y asks, and nobody can answer", "write " + command + " -y"}
	case command == "zypper" && does("install", "in", "update", "up", "remove", "rm", "patch", "dup") && !yes("-n", "--non-interactive", "-y", "--no-confirm"):
		return trouble{"zypper without --non-interactive asks, and nobody can answer", "write zypper --non-interactive"}
	case command == "read" || command == "passwd" || command == "dpkg-reconfigure" && !does("-fnoninteractive", "--frontend=noninteractive", "noninteractive"):
		return trouble{command + " asks, and nobody can answer", "give the answer on the command line"}
	}
	return trouble{}
}

// hiddenPath is a path below /usr/local that a command seems to write to, or "".
func hiddenPath(words []string) string {
	if slices.Contains(reading, words[0]) {
		// Except where their output goes.
		i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, ">") })
		if i < 0 {
			return ""
		}
		words = words[i:]
	}
	switch {
	case hidden(words[0]):
		return "" // a program from there is run
	case slices.Contains(copying, words[0]):
		words = words[len(words)-1:]
	}
	for _, w := range words {
		w = strings.Trim(w, `"'`)
		if i := strings.LastIndexAny(w, "=>"); i >= 0 {
			w = w[i+1:]
		}
		if strings.HasPrefix(w, "/") && hidden(w) {
			return w
		}
	}
	return ""
}

func underLocal(p string) trouble {
	return trouble{p + " is hidden on a running host, where /usr/local is a mount", "install to /usr or /opt"}
}

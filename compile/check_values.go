package compile

import (
	"strconv"
	"strings"

	"canvos.dev/compile/plan"
)

// checkValues judges values that have the right kind and still mean nothing.
func (s *subject) checkValues() {
	for i, p := range s.Packages {
		if strings.ContainsAny(p.V, " \t\n") || strings.HasPrefix(p.V, "-") {
			s.report("CV0114", "packages["+itoa(i)+"]", p.At, quoted(p.V)+" is not the name of one package", "write each package as an entry of its own, options not at all")
		}
	}
	if u := s.UbuntuPro; u.At != (plan.Pos{}) && !u.Env.Set && !u.File.Set {
		s.report("CV0102", "ubuntuPro", u.At, "ubuntuPro has neither env nor file", `write ubuntuPro: env: "UBUNTU_PRO_TOKEN", or leave it out`)
	}
	if u := s.UbuntuPro; u.Env.V != "" && u.File.V != "" {
		s.report("CV0114", "ubuntuPro", u.File.At, "ubuntuPro has both env and file", "keep one of them")
	}
	for _, a := range s.GPU.Arguments {
		prefix, _, _ := strings.Cut(a.Key, "_")
		if want := map[string]string{"nvidia": "NVIDIA", "amd": "AMDGPU"}[s.GPU.Vendor.V]; want != "" && prefix != want {
			s.report("CV0114", "gpu.arguments."+a.Key, a.Value.At, a.Key+" is no argument of the drivers of "+quoted(s.GPU.Vendor.V),
				"remove it, or correct gpu.vendor"+at(s.GPU.Vendor.At))
		}
	}
}

// badEpoch says why a time cannot be that of an image, or is "". The schema has
// judged its form.
func badEpoch(epoch string) string {
	if len(epoch) != len("2020-04-16T12:00:00Z") {
		return "is not a time in UTC and whole seconds"
	}
	var n [3]int
	for i, field := range []string{epoch[:4], epoch[5:7], epoch[8:10]} {
		v, err := strconv.Atoi(field)
		if err != nil {
			return "is not a time in UTC and whole seconds"
		}
		n[i] = v
	}
	switch year, month, day := n[0], n[1], n[2]; {
	case year < 1970:
		return "is before 1970, which no archive can hold"
	case month < 1 || month > 12 || day < 1 || day > daysOf(year, month):
		return "is not a day of the calendar"
	}
	return ""
}

// IsDay says whether a text is a day of the calendar, "2026-12-31".
func IsDay(text string) bool {
	parts := strings.Split(text, "-")
	if len(text) != len("2026-12-31") || len(parts) != 3 || len(parts[0]) != 4 || len(parts[1]) != 2 {
		return false
	}
	var n [3]int
	for i, part := range parts {
		if strings.Trim(part, "0123456789") != "" {
			return false
		}
		n[i], _ = strconv.Atoi(part) // of digits
	}
	return n[1] >= 1 && n[1] <= 12 && n[2] >= 1 && n[2] <= daysOf(n[0], n[1])
}

func daysOf(year, month int) int {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	}
	return 31
}

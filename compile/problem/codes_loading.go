package problem

// loading: the manifest could not be read as CUE.
var loading = []Entry{
	{
		Code: "CV0001", Severity: Error, Room: "load", Title: "the file is not CUE",
		Explanation: []string{
			"The file breaks CUE's grammar at the place shown, so nothing of it has a meaning yet. The cause is usually on that line or just before it: a missing quote, comma, colon or bracket.",
			"Mend the line; `cue fmt` accepts the file when its grammar is right.",
		},
		Sources: []string{"the CUE language specification"},
	},
	{
		Code: "CV0002", Severity: Error, Room: "load", Title: "there is no manifest here",
		Explanation: []string{
			"A manifest is the CUE package in a directory. The directory or file that was named does not exist, or holds no CUE file that belongs to a package.",
			"Name the directory or file that holds the manifest, or make a first one with `canvos init`.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0003", Severity: Error, Room: "load", Title: "the directory holds two packages",
		Explanation: []string{
			"The CUE files of a directory belong to one manifest only when they have the same package clause.",
			"Give them one package name, move one of them to a directory of its own, or name the files that are meant.",
		},
		Sources: []string{"the CUE language specification"},
	},
	{
		Code: "CV0004", Severity: Error, Room: "load", Title: "an import cannot be had",
		Explanation: []string{
			"A manifest may import packages of CUE's standard library, of its own module, and canvos.dev/schema, which canvos carries. It reads no other module: a manifest must mean the same on every machine, with or without a network.",
			"Remove the import, correct its path, or copy the package into the module that holds the manifest.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0005", Severity: Error, Room: "load", Title: "a tag of the command line does not fit",
		Explanation: []string{
			"A value or name given with -t is not asked for by any @tag or @if attribute of the manifest, or is not of its kind.",
			"Correct the name, or drop -t.",
		},
		Sources: []string{"the CUE language specification"},
	},
	{
		Code: "CV0006", Severity: Error, Room: "load", Title: "an expression has no value",
		Explanation: []string{
			"CUE could not evaluate the expression: a name that is not declared, a cycle, an operation that its operands do not allow.",
			"Correct the expression at the place shown. `cue eval` shows what the parts of it evaluate to.",
		},
		Sources: []string{"the CUE language specification"},
	},
	{
		Code: "CV0007", Severity: Error, Room: "load", Title: "one field, two values",
		Explanation: []string{
			"Two places of the manifest give the same field values that cannot both hold. In CUE no place wins over another.",
			"Keep one of them; to let families override a shared value, share it as a default: `families: [string]: updateKernel: *false | bool`.",
		},
		Sources: []string{"the CUE language specification"},
	},
	{
		Code: "CV0008", Severity: Error, Room: "load", Title: "a field has no concrete value",
		Explanation: []string{
			"The field is a type, a choice or a constraint, and nothing says which value is meant.",
			"Give it a value.",
		},
		Sources: []string{"the CUE language specification"},
	},
	{
		Code: "CV0009", Severity: Error, Room: "load", Title: "a file cannot be read",
		Explanation: []string{
			"The file exists, but reading it failed: it may be a directory, lack permission, or be a link out of the module.",
			"Look at the file; the message says what the system answered.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0010", Severity: Error, Room: "load", Title: "the manifest uses what canvos does not evaluate",
		Explanation: []string{
			"Some of CUE reaches outside the manifest or has no bound: @extern and @embed, very deep or very large values. canvos refuses them, since manifests of pull requests are evaluated too.",
			"What a review evaluates is also limited in time, memory, length of its text and size of its expressions: a few lines of CUE can keep a machine busy for ever.",
			"Write the value out. For a change whose author is trusted, canvos review --trusted sets no limits.",
		},
		Sources: []string{"canvos"},
	},
}

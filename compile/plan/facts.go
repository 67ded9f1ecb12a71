package plan

import "strconv"

// Annotations are the facts as annotations and labels of an image, so that a
// registry can be asked for them: "dev.canvos.two-node": "true".
func (f Facts) Annotations() map[string]string {
	m := map[string]string{}
	for key, v := range f.texts() {
		if *v != "" {
			m[key] = *v
		}
	}
	for key, v := range f.flags() {
		m[key] = strconv.FormatBool(*v)
	}
	return m
}

// FactsOf reads facts from annotations. It is false if they are not there: the
// image is not canvos's.
func FactsOf(annotations map[string]string) (Facts, bool) {
	var f Facts
	for key, v := range f.texts() {
		*v = annotations[key]
	}
	for key, v := range f.flags() {
		switch annotations[key] {
		case "true":
			*v = true
		case "false":
		default:
			return Facts{}, false
		}
	}
	return f, f.KubernetesDistribution != "" && f.OSDistribution != ""
}

func (f *Facts) texts() map[string]*string {
	return map[string]*string{
		"dev.canvos.release":                 &f.Release,
		"dev.canvos.agent-version":           &f.AgentVersion,
		"dev.canvos.os-distribution":         &f.OSDistribution,
		"dev.canvos.os-version":              &f.OSVersion,
		"dev.canvos.kubernetes-distribution": &f.KubernetesDistribution,
		"dev.canvos.channel":                 &f.Channel,
	}
}

func (f *Facts) flags() map[string]*bool {
	return map[string]*bool{
		"dev.canvos.tech-preview": &f.TechPreview,
		"dev.canvos.two-node":     &f.TwoNode,
		"dev.canvos.fips":         &f.FIPS,
		"dev.canvos.uki":          &f.UKI,
	}
}

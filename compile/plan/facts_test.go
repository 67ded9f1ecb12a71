package plan

import (
	"reflect"
	"testing"
)

func TestFactsAsAnnotations(t *testing.T) {
	// Every field must find its way there and back, also one that is added.
	var all Facts
	v := reflect.ValueOf(&all).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString(v.Type().Field(i).Name)
		case reflect.Bool:
			f.SetBool(true)
		}
	}
	for _, f := range []Facts{all, {OSDistribution: "ubuntu", KubernetesDistribution: "k3s", FIPS: true}} {
		got, ok := FactsOf(f.Annotations())
		if !ok || got != f {
			t.Errorf("%+v came back as %+v", f, got)
		}
	}
	if n := len(all.Annotations()); n != v.NumField() {
		t.Errorf("%d annotations for %d facts", n, v.NumField())
	}
	for _, key := range []string{"dev.canvos.two-node", "dev.canvos.os-distribution"} {
		m := all.Annotations()
		delete(m, key)
		if f, ok := FactsOf(m); ok {
			t.Errorf("without %s: %+v", key, f)
		}
	}
	if _, ok := FactsOf(nil); ok {
		t.Error("no annotations are facts")
	}
}

// HUP: what a running node can change.

package server

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// reloadable are the fields of Config that Reload applies; all others need a restart.
var reloadable = []string{"PublicTopics", "APIKey", "APIKeyFile"}

// Reload applies c to the running node, all or nothing: PublicTopics, APIKey and what is in APIKeyFile. Subscriptions that exist
// stay. The error names what is wrong with c, or the fields that differ and need a restart; then nothing has changed.
func (s *Server) Reload(c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	c = c.WithDefaults()
	if fixed := s.differing(&c); len(fixed) > 0 {
		return fmt.Errorf("these settings changed and need a restart: %s", strings.Join(fixed, ", "))
	}
	l, err := newLive(&c)
	if err != nil {
		return err
	}
	s.live.Store(l)
	return nil
}

// differing names the fields that Reload cannot change and that differ. Functions and interfaces are the program's, not the
// configuration file's, and are not compared.
func (s *Server) differing(c *Config) (names []string) {
	old, now := reflect.ValueOf(s.cfg), reflect.ValueOf(*c)
	for i := range old.NumField() {
		name := old.Type().Field(i).Name
		switch old.Field(i).Kind() {
		case reflect.Func, reflect.Interface, reflect.Pointer:
			continue
		}
		if !slices.Contains(reloadable, name) && !reflect.DeepEqual(old.Field(i).Interface(), now.Field(i).Interface()) {
			names = append(names, name)
		}
	}
	return names
}

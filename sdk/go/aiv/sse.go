package aiv

import "strings"

// StreamEvent is one server-sent event.
type StreamEvent struct {
	// Name is the event field, when the vendor names its events.
	Name string
	// Data is the data lines, joined by line feeds.
	Data string
}

// Events are the events of a complete stream that have data. A last one without its blank line
// counts as well.
func Events(body string) []StreamEvent {
	var found []StreamEvent
	var name string
	var data []string
	ends := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	for _, line := range strings.Split(ends.Replace(strings.TrimPrefix(body, "\ufeff")), "\n") {
		if line == "" {
			if data != nil {
				found = append(found, StreamEvent{name, strings.Join(data, "\n")})
			}
			name, data = "", nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "data":
			data = append(data, value)
		case "event":
			name = value
		}
	}
	if data != nil {
		found = append(found, StreamEvent{name, strings.Join(data, "\n")})
	}
	return found
}

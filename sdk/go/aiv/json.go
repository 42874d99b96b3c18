package aiv

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// JSON is any value whose shape nobody guarantees: a wrong type reads as absent. Paths are JSON
// pointers, such as /usage/cost/total_cost.
type JSON struct{ value any }

// ParseJSON keeps every digit of a number.
func ParseJSON(text string) (JSON, error) {
	decoder := json.NewDecoder(bytes.NewBufferString(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return JSON{}, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return JSON{}, errors.New("more than one value")
	}
	return JSON{value}, nil
}

// At is the value at a path.
func (j JSON) At(path string) JSON {
	value := j.value
	for _, part := range strings.Split(path, "/")[1:] {
		switch inner := value.(type) {
		case map[string]any:
			value = inner[part]
		case []any:
			at, err := strconv.Atoi(part)
			if err != nil || at < 0 || at >= len(inner) {
				return JSON{}
			}
			value = inner[at]
		default:
			return JSON{}
		}
	}
	return JSON{value}
}

// Text is the string at a path; ok is false when there is none.
func (j JSON) Text(path string) (text string, ok bool) {
	text, ok = j.At(path).value.(string)
	return text, ok
}

// String is the string at a path, empty when there is none.
func (j JSON) String(path string) string {
	text, _ := j.Text(path)
	return text
}

// Items are the elements of the array at a path.
func (j JSON) Items(path string) []JSON {
	values, _ := j.At(path).value.([]any)
	items := make([]JSON, len(values))
	for at, value := range values {
		items[at] = JSON{value}
	}
	return items
}

// Strings are the strings in the array at a path, without the blank ones.
func (j JSON) Strings(path string) []string {
	var texts []string
	for _, item := range j.Items(path) {
		if text, ok := item.value.(string); ok && strings.TrimSpace(text) != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

// Decimal is the non-negative number at a path, also when it is written as a string.
func (j JSON) Decimal(path string) *Decimal {
	switch value := j.At(path).value.(type) {
	case json.Number:
		return ParseDecimal(value.String())
	case string:
		return ParseDecimal(value)
	}
	return nil
}

// Uint is the non-negative whole number at a path, also when it is written as 3.0.
func (j JSON) Uint(path string) *uint32 {
	if number := j.Decimal(path); number != nil {
		return number.Whole()
	}
	return nil
}

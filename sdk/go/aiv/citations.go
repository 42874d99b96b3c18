package aiv

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var (
	address = regexp.MustCompile(`^(?i:(https?))://([^/?#\\]*)`)
	marker  = regexp.MustCompile(`^\d*$`)
	// Query parameters that engines add to mark their traffic.
	trafficMarks = []string{"utm_source=openai", "utm_source=chatgpt.com"}
)

// Link reads an absolute http or https address: url as the engine gave it less a #:~:text=
// directive, and a key that is the same for all addresses of one page.
func Link(text string) (url, key string, ok bool) {
	text = strings.TrimSpace(text)
	found := address.FindStringSubmatch(text)
	if found == nil {
		return "", "", false
	}
	host := found[2][strings.LastIndex(found[2], "@")+1:]
	if host == "" || host[0] == ':' || strings.ContainsFunc(host, unicode.IsSpace) {
		return "", "", false
	}
	url = text
	if before, _, cut := strings.Cut(text, ":~:text="); cut {
		url = before
		if strings.HasSuffix(url, "#") || strings.HasSuffix(url, "&") {
			url = url[:len(url)-1]
		}
	}
	rest, _, _ := strings.Cut(url, "#")
	path, query, hasQuery := strings.Cut(rest[len(found[0]):], "?")
	if path == "" {
		path = "/"
	}
	if hasQuery {
		isMark := func(pair string) bool { return slices.Contains(trafficMarks, pair) }
		if kept := slices.DeleteFunc(strings.Split(query, "&"), isMark); len(kept) > 0 {
			path += "?" + strings.Join(kept, "&")
		}
	}
	return url, strings.ToLower(found[1]) + "://" + strings.ToLower(found[2]) + path, true
}

// Links are the [text](address) links of a text as pairs, in order. Images are left out.
func Links(text string) [][2]string {
	var found [][2]string
	for from := 0; ; {
		at := strings.Index(text[from:], "](")
		if at < 0 {
			return found
		}
		middle := from + at
		start := strings.LastIndex(text[from:middle], "[")
		isImage := start >= 0 && from+start > 0 && text[from+start-1] == '!'
		open := from + start
		from = middle + 2
		end := closing(text[from:])
		if start < 0 || isImage || end < 0 {
			continue
		}
		// A title may follow the address, and angle brackets may enclose it.
		url := ""
		if words := strings.Fields(text[from : from+end]); len(words) > 0 {
			url = strings.Trim(words[0], "<>")
		}
		found = append(found, [2]string{text[open+1 : middle], url})
		from += end
	}
}

// closing is where the parenthesis closes that was open before; addresses may contain pairs.
func closing(text string) int {
	depth := 0
	for at := 0; at < len(text) && at < 4096; at++ {
		switch text[at] {
		case '\n':
			return -1
		case '(':
			depth++
		case ')':
			if depth == 0 {
				return at
			}
			depth--
		}
	}
	return -1
}

// Citations collects the sources of an answer, each page once: the first mention gives address and
// place, Cited wins over Listed, markers are united, and what the first lacks the later give.
type Citations struct {
	list    []Citation
	byPage  map[string]int
	dropped int
}

// Add adds a source or merges it; an address that is not absolute is dropped with a warning.
func (c *Citations) Add(kind CitationKind, source Citation) {
	url, key, ok := Link(source.URL)
	if !ok {
		c.dropped++
		return
	}
	at, known := c.byPage[key]
	if !known {
		if c.byPage == nil {
			c.byPage = map[string]int{}
		}
		at = len(c.list)
		c.byPage[key] = at
		c.list = append(c.list, Citation{Position: uint32(at + 1), URL: url, Kind: kind})
	}
	citation := &c.list[at]
	if kind == Cited {
		citation.Kind = kind
	}
	first := func(have *string, text string) {
		if *have == "" && strings.TrimSpace(text) != "" {
			*have = text
		}
	}
	first(&citation.Title, source.Title)
	first(&citation.Snippet, source.Snippet)
	first(&citation.Published, source.Published)
	for _, marker := range source.Markers {
		if !slices.Contains(citation.Markers, marker) {
			citation.Markers = append(citation.Markers, marker)
		}
	}
}

// AddLinks adds the pages that the text links to and that are no source.
func (c *Citations) AddLinks(text string) {
	for _, found := range Links(text) {
		title, url := found[0], found[1]
		_, key, ok := Link(url)
		if _, known := c.byPage[key]; !ok || known {
			continue
		}
		if marker.MatchString(title) {
			title = ""
		}
		c.Add(InlineLink, Citation{URL: url, Title: title})
	}
}

// Warnings are one for each source that had no web address.
func (c *Citations) Warnings() []string {
	return slices.Repeat([]string{"citation-dropped:not-absolute-url"}, c.dropped)
}

// List is the finished list.
func (c *Citations) List() []Citation { return c.list }

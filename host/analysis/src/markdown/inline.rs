use super::scanning::{Gap, Scanner};

/// A link text or tag longer than this is prose.
const LONGEST: usize = 512;
/// So is a link target longer than this.
const LONGEST_TARGET: usize = 2048;

impl Scanner<'_> {
    /// Deals with the special byte at hand, if there is one.
    pub(super) fn read_special(&mut self) {
        let Some(byte) = self.bytes.get(self.at) else { return };
        match byte {
            b'\n' => {
                self.at += 1;
                self.start_line();
            }
            b' ' | b'\r' | b'\t' | 0x0B | 0x0C => {
                self.widen_gap(Gap::Space);
                self.at += 1;
            }
            b'*' => self.read_emphasis(b'*', |run, inside| run == 1 && inside),
            b'_' => self.read_emphasis(b'_', |_, inside| inside),
            b'~' => self.read_emphasis(b'~', |run, _| run == 1),
            b'`' => self.at += 1,
            b'\\' => self.read_escape(),
            b'!' if self.bytes.get(self.at + 1) == Some(&b'[') && self.link_ahead(self.at + 1) => {
                self.at += 1;
            }
            b'[' => self.read_opening_bracket(),
            b']' => self.read_closing_bracket(),
            b'<' => self.read_tag(),
            b'&' => self.read_entity(),
            b'|' => {
                self.widen_gap(Gap::Break);
                self.at += 1;
            }
            0xE3 if self.source[self.at..].starts_with('【') => self.read_lenticular(),
            _ => self.push_segment(),
        }
    }

    /// Drops a run of emphasis marks, unless it reads as a character: `keep(length, within a word)`.
    fn read_emphasis(&mut self, mark: u8, keep: fn(usize, bool) -> bool) {
        let run = self.bytes[self.at..].iter().take_while(|byte| **byte == mark).count();
        let end = self.at + run;
        let before = self.at.checked_sub(1).and_then(|at| self.bytes.get(at));
        let after = self.bytes.get(end);
        let word = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80)
        };
        let blank = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_whitespace);
        let alone = blank(before) && blank(after);
        if keep(run, word(before) && word(after)) || alone {
            while self.at < end {
                self.push_segment();
            }
        } else {
            self.at = end;
        }
    }

    fn read_escape(&mut self) {
        match self.bytes.get(self.at + 1) {
            Some(next) if next.is_ascii_punctuation() => {
                self.at += 1;
                self.push_segment();
            }
            Some(b'\n') => self.at += 1,
            _ => self.push_segment(),
        }
    }

    fn read_opening_bracket(&mut self) {
        if let Some(length) = marker_length(&self.source[self.at..]) {
            self.widen_gap(Gap::Space);
            self.at += length;
            if self.bytes.get(self.at) == Some(&b'(')
                && let Some(target) = self.target_length(self.at)
            {
                self.at += target;
            }
        } else if self.link_ahead(self.at) {
            self.open_links += 1;
            self.at += 1;
        } else {
            self.push_segment();
        }
    }

    fn read_closing_bracket(&mut self) {
        let next = self.at + 1;
        if self.open_links == 0 {
            return self.push_segment();
        }
        match self.bytes.get(next) {
            Some(b'(') => {
                self.open_links -= 1;
                self.at = next + self.target_length(next).unwrap_or(0);
            }
            Some(b'[') => {
                self.open_links -= 1;
                self.at = next;
                if let Some(end) = memchr::memchr2(b']', b'\n', &self.bytes[next..])
                    && self.bytes[next + end] == b']'
                {
                    self.at = next + end + 1;
                }
            }
            _ => self.push_segment(),
        }
    }

    /// Whether the bracket at `at` opens a link text: it closes on this line, before a target.
    fn link_ahead(&self, at: usize) -> bool {
        let rest = &self.bytes[at..];
        let mut depth = 0_usize;
        for (index, byte) in rest.iter().take(LONGEST).enumerate() {
            match byte {
                b'\n' => return false,
                b'[' => depth += 1,
                b']' => {
                    depth -= 1;
                    if depth == 0 {
                        let close = at + index + 1;
                        return match self.bytes.get(close) {
                            Some(b'(') => self.target_length(close).is_some(),
                            Some(b'[') => marker_length(&self.source[close..]).is_none(),
                            _ => false,
                        };
                    }
                }
                _ => {}
            }
        }
        false
    }

    /// Length of the link target at `at`, both parentheses included.
    fn target_length(&self, at: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (index, byte) in self.bytes[at..].iter().take(LONGEST_TARGET).enumerate() {
            match byte {
                b'\n' => return None,
                b'(' => depth += 1,
                b')' => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(index + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn read_tag(&mut self) {
        let rest = &self.bytes[self.at..];
        let opens = rest.get(1).is_some_and(|b| b.is_ascii_alphabetic() || b"/!".contains(b));
        let close = memchr::memchr2(b'>', b'\n', &rest[..rest.len().min(LONGEST)]);
        let Some(close) = close.filter(|close| opens && rest[*close] == b'>') else {
            return self.push_segment();
        };
        let tag = &self.source[self.at + 1..self.at + close];
        let name = tag.trim_start_matches('/');
        let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        if tag.contains("://") && !tag.contains(' ') || tag.contains('@') {
            self.widen_gap(Gap::Space);
        } else if BLOCK_TAGS.iter().any(|block| name.eq_ignore_ascii_case(block)) {
            self.widen_gap(Gap::Break);
        }
        self.at += close + 1;
    }

    fn read_entity(&mut self) {
        let rest = &self.source[self.at..];
        let known = ENTITIES.iter().find(|(entity, _)| rest.starts_with(entity));
        match known {
            Some((entity, text)) => {
                self.push_rewritten(text, self.at..self.at + entity.len());
                self.at += entity.len();
            }
            None => self.push_segment(),
        }
    }

    /// `【4†source】` is a citation marker, `【ソニー】` is text.
    fn read_lenticular(&mut self) {
        let rest = &self.source[self.at..];
        let length = rest.find('】').filter(|end| *end < 64).map(|end| end + '】'.len_utf8());
        let marker = length.filter(|length| {
            let inside = &rest['【'.len_utf8()..length - '】'.len_utf8()];
            inside.contains('†') || inside.bytes().all(|byte| byte.is_ascii_digit())
        });
        match marker {
            Some(length) => {
                self.widen_gap(Gap::Space);
                self.at += length;
            }
            None => self.push_segment(),
        }
    }
}

const BLOCK_TAGS: [&str; 16] = [
    "br",
    "p",
    "div",
    "li",
    "ul",
    "ol",
    "td",
    "th",
    "tr",
    "table",
    "h1",
    "h2",
    "h3",
    "h4",
    "hr",
    "blockquote",
];

const ENTITIES: [(&str, &str); 10] = [
    ("&amp;", "&"),
    ("&nbsp;", " "),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "\""),
    ("&apos;", "'"),
    ("&#39;", "'"),
    ("&#x27;", "'"),
    ("&rsquo;", "'"),
    ("&#160;", " "),
];

/// Length of a citation marker (`[1]`, `[2, 3]`, `[^4]`, `[5†source]`) or a task box (`[x]`).
pub(super) fn marker_length(text: &str) -> Option<usize> {
    let end = text.bytes().take(48).position(|byte| byte == b']')?;
    let inside = text.get(1..end)?;
    let digits = inside.bytes().any(|byte| byte.is_ascii_digit())
        && inside.bytes().all(|byte| byte.is_ascii_digit() || b", -^".contains(&byte));
    let footnote = inside.strip_prefix('^').is_some_and(|label| !label.is_empty());
    let box_or_source = matches!(inside, " " | "x" | "X") || inside.contains('†');
    (digits || footnote || box_or_source).then_some(end + 1)
}

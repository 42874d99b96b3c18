use super::{
    inline::marker_length,
    scanning::{Gap, Scanner},
};

/// The list being read, if any.
#[derive(Default)]
pub(super) struct Lists {
    open: Option<List>,
    after_blank: bool,
}

struct List {
    kind: Kind,
    indent: usize,
    number: u32,
    written: u32,
}

/// What opens an item.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bullet,
    Ordered,
    /// A numbered heading or a numbered line in bold: its item lasts until the next one.
    Section,
}

impl Scanner<'_> {
    /// Reads what comes before the words of a line: indent, quote, heading, item marker, rule.
    pub(super) fn start_line(&mut self) {
        loop {
            let line_start = self.at;
            let indent = self.skip_indent();
            match self.bytes.get(self.at) {
                None => return,
                Some(b'\n') => {
                    self.widen_gap(Gap::Break);
                    self.lists.after_blank = true;
                    self.at += 1;
                    continue;
                }
                Some(_) => {}
            }
            let first = line_start == 0;
            if self.skip_bare_line() {
                self.widen_gap(Gap::Break);
                continue;
            }
            self.open_links = 0;
            if !first {
                self.widen_gap(Gap::Space);
            }
            self.read_marker(indent);
            self.lists.after_blank = false;
            return;
        }
    }

    /// Skips white space and quote marks; quotes do not count as indent.
    fn skip_indent(&mut self) -> usize {
        let mut indent = 0;
        loop {
            match self.bytes.get(self.at) {
                Some(b' ') => indent += 1,
                Some(b'\t') => indent += 4,
                Some(b'\r' | b'>') => {}
                _ => return indent,
            }
            self.at += 1;
        }
    }

    /// Skips a line without words: a code fence, a rule, a table's alignment row, a link definition.
    fn skip_bare_line(&mut self) -> bool {
        let rest = &self.bytes[self.at..];
        if !matches!(rest[0], b'`' | b'~' | b'-' | b'*' | b'_' | b'=' | b'|' | b':' | b'[') {
            return false;
        }
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        let fence = line.starts_with(b"```") || line.starts_with(b"~~~");
        let marks = line.iter().filter(|byte| b"-*_=".contains(byte)).count();
        let rule = marks >= 3 && line.iter().all(|byte| b"-*_=|: \t\r".contains(byte));
        let definition = line[0] == b'['
            && memchr::memchr(b']', line).is_some_and(|close| {
                line.get(close + 1) == Some(&b':') && memchr::memmem::find(line, b"://").is_some()
            });
        if fence || rule || definition {
            self.at += end;
            self.at += usize::from(self.at < self.bytes.len());
            return true;
        }
        false
    }

    fn read_marker(&mut self, indent: usize) {
        let rest = &self.bytes[self.at..];
        let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
        if (1..=6).contains(&hashes) && rest.get(hashes) == Some(&b' ') {
            self.at += hashes + 1;
            self.skip_spaces();
            self.widen_gap(Gap::Break);
            self.close_list();
            if let Some((number, length)) = self.numbered(true) {
                self.open_item(Kind::Section, 0, number, length);
            }
            return;
        }
        if let Some(length) = bullet_length(&self.source[self.at..]) {
            return self.open_item(Kind::Bullet, indent, 0, length);
        }
        if let Some((number, length)) = self.numbered(false) {
            return self.open_item(Kind::Ordered, indent, number, length);
        }
        if let Some((number, length)) = self.numbered(true) {
            return self.open_item(Kind::Section, indent, number, length);
        }
        let ends = self.lists.open.as_ref().is_some_and(|list| {
            list.kind != Kind::Section && self.lists.after_blank && indent <= list.indent + 1
        });
        if ends {
            self.close_list();
        }
    }

    /// `1. ` or `1) ` at hand, and with `emphasis` also `**1. ` and `**1.**`: number and length.
    fn numbered(&self, emphasis: bool) -> Option<(u32, usize)> {
        let rest = &self.bytes[self.at..];
        let stars = rest.iter().take_while(|byte| **byte == b'*').count();
        if stars > 0 && !emphasis {
            return None;
        }
        let digits = rest[stars..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=3).contains(&digits) {
            return None;
        }
        let after = stars + digits;
        let closed = matches!(rest.get(after)?, b'.' | b')')
            && matches!(rest.get(after + 1)?, b' ' | b'*' | b'\t');
        let number = self.source.get(self.at + stars..self.at + after)?.parse().ok()?;
        closed.then_some((number, after + 1))
    }

    fn open_item(&mut self, kind: Kind, indent: usize, written: u32, length: usize) {
        self.at += length;
        self.skip_spaces();
        if self.source[self.at..].starts_with('[')
            && let Some(task) = marker_length(&self.source[self.at..])
        {
            self.at += task;
        }
        self.widen_gap(Gap::Break);
        let number = match &mut self.lists.open {
            Some(list) if list.holds(kind, indent) => return,
            Some(list) if list.kind == kind => {
                let counted = kind == Kind::Bullet || written == list.written;
                list.number = if counted { list.number + 1 } else { written };
                list.written = written;
                list.indent = list.indent.min(indent);
                list.number
            }
            open => {
                let number = if kind == Kind::Bullet { 1 } else { written };
                *open = Some(List { kind, indent, number, written });
                number
            }
        };
        self.plain.mark_item(Some(number));
    }

    fn close_list(&mut self) {
        self.lists.open = None;
        self.plain.mark_item(None);
    }

    fn skip_spaces(&mut self) {
        while self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }
}

impl List {
    /// Whether an item like this is part of the item at hand rather than the next one.
    fn holds(&self, kind: Kind, indent: usize) -> bool {
        let level = |kind| match kind {
            Kind::Section => 0,
            Kind::Ordered => 1,
            Kind::Bullet => 2,
        };
        level(kind) > level(self.kind) || (kind == self.kind && indent >= self.indent + 2)
    }
}

/// Length of a bullet and the space after it.
fn bullet_length(line: &str) -> Option<usize> {
    let bullet = line.chars().next().filter(|c| "-*+•‣◦–".contains(*c))?.len_utf8();
    line[bullet..].starts_with([' ', '\t']).then_some(bullet + 1)
}

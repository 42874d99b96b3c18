//! Server-sent events, read from a body that is complete.

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The `event` field, when the vendor names its events.
    pub name: Option<String>,
    /// The `data` lines, joined by line feeds.
    pub data: String,
}

/// The events of a stream that have data. A last event without its blank line counts as well.
pub fn events(body: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut name = None;
    let mut data: Option<String> = None;
    for line in lines(body.trim_start_matches('\u{feff}')) {
        if line.is_empty() {
            if let Some(data) = data.take() {
                events.push(Event { name: name.take(), data });
            }
            name = None;
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => data = Some(value.to_owned()),
            },
            "event" => name = Some(value.to_owned()),
            // A comment, an id, a retry time, or a field of the future.
            _ => {}
        }
    }
    events.extend(data.map(|data| Event { name, data }));
    events
}

/// Lines that end in CR, LF or both.
fn lines(body: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\r', '\n']) else {
            rest = None;
            return (!text.is_empty()).then_some(text);
        };
        let tail = &text[end..];
        rest = Some(tail.strip_prefix("\r\n").unwrap_or(&tail[1..]));
        Some(&text[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(body: &str) -> Vec<String> {
        events(body).into_iter().map(|event| event.data).collect()
    }

    #[test]
    fn every_line_ending_is_understood() {
        for end in ["\n", "\r\n", "\r"] {
            let body = format!("data: a{end}data: b{end}{end}data: c{end}{end}");
            assert_eq!(data(&body), ["a\nb", "c"], "{end:?}");
        }
    }

    #[test]
    fn comments_and_unknown_fields_are_skipped() {
        assert_eq!(data(": keep-alive\n\nid: 7\nretry: 10\ndata:x\nfoo\n\n: end"), ["x"]);
    }

    #[test]
    fn the_last_event_may_lack_its_blank_line() {
        assert_eq!(data("data: a\n\ndata: [DONE]"), ["a", "[DONE]"]);
        assert_eq!(data("data: a\n\ndata"), ["a", ""]);
        assert!(data("").is_empty());
    }

    #[test]
    fn only_one_space_after_the_colon_is_dropped() {
        let events = events("\u{feff}event: x\ndata:  y: z\n\nevent: lost\n\ndata: w\n\n");
        assert_eq!(events[0], Event { name: Some("x".into()), data: " y: z".into() });
        assert_eq!(events[1], Event { name: None, data: "w".into() });
    }
}

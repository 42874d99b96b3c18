//! The little Markdown that a provider meets.

/// Longest address, with its title, that a link may have.
const MAX_ADDRESS: usize = 4096;

/// The `[text](address)` links of a text, in order, as (text, address). Images are left out.
pub fn links(text: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    let mut from = 0;
    while let Some(middle) = text[from..].find("](").map(|at| from + at) {
        let start = text[from..middle].rfind('[').map(|at| from + at);
        from = middle + 2;
        let Some(start) = start else { continue };
        if text[..start].ends_with('!') {
            continue;
        }
        if let Some(end) = closing(&text[from..]) {
            // A title may follow the address, and angle brackets may enclose it.
            let address = text[from..from + end].split_whitespace().next().unwrap_or_default();
            links.push((&text[start + 1..middle], address.trim_matches(['<', '>'])));
            from += end;
        }
    }
    links
}

/// Where the parenthesis closes that was open before `text`; addresses may contain pairs. What
/// does not close soon is no address.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    for (at, sign) in text.char_indices().take(MAX_ADDRESS) {
        match sign {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            '\n' => return None,
            _ => {}
        }
    }
    None
}

/// A cell of a table: one line, bars escaped.
pub fn cell(text: &str) -> String {
    let lines: Vec<&str> = text.split(['\r', '\n']).map(str::trim).collect();
    lines.join(" ").trim().replace('|', "\\|")
}

/// A table with a head; short rows are filled up. Nothing when there is no column.
pub fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let width = rows.iter().map(Vec::len).chain([head.len()]).max().unwrap_or(0);
    if width == 0 {
        return String::new();
    }
    let line = |cells: &[String]| {
        let filled = (0..width).map(|at| cells.get(at).map_or(String::new(), |text| cell(text)));
        format!("| {} |", filled.collect::<Vec<_>>().join(" | "))
    };
    let mut lines = vec![line(head), format!("|{}", " --- |".repeat(width))];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_and_images_are_not() {
        let text = "See [A](https://a.example/x_(y)) and ![i](https://i.example/) [1] \
                    [B](<https://b.example/> \"b\"), [open](https://c.example";
        assert_eq!(links(text), [("A", "https://a.example/x_(y)"), ("B", "https://b.example/")]);
        assert!(links("]( [x]() [").iter().all(|(_, address)| address.is_empty()));
    }

    #[test]
    fn tables_are_square_and_escaped() {
        let row = |cells: &[&str]| cells.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
        let text = table(&row(&["", "A"]), &[row(&["x|y"]), row(&["1\n2", "3"])]);
        assert_eq!(text, "|  | A |\n| --- | --- |\n| x\\|y |  |\n| 1 2 | 3 |");
        assert_eq!(table(&[], &[]), "");
    }
}

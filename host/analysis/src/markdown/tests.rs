use proptest::prelude::*;

use super::*;

fn text(answer: &str) -> String {
    plain_text(answer).text().to_owned()
}

fn folded(answer: &str, pace: Pace) -> Plain {
    let mut plain = Plain::default();
    strip_into(answer, Case::Folded, pace, &mut plain);
    plain
}

#[test]
fn markup_goes_and_words_stay() {
    for (answer, words) in [
        ("**Asana** and *Trello*, __Jira__ or _Wrike_", "Asana and Trello, Jira or Wrike"),
        ("***Asana***", "Asana"),
        ("~~Asana~~ costs ~$10", "Asana costs ~$10"),
        ("`cargo` runs", "cargo runs"),
        ("[Asana](https://asana.com/a_(b)) wins", "Asana wins"),
        ("![logo](https://x.io/l.png) Asana", "logo Asana"),
        ("[**Asana**](https://asana.com) wins", "Asana wins"),
        ("[Asana][ref] wins\n\n[ref]: https://asana.com", "Asana wins"),
        ("Asana[1] wins[2][3].", "Asana wins ."),
        ("Asana [1](https://a.com) wins", "Asana wins"),
        ("Sony【4†source】 wins", "Sony wins"),
        ("【ソニー】は", "【ソニー】は"),
        ("# Best\ntools", "Best tools"),
        ("> quoted\n> twice", "quoted twice"),
        ("one\ntwo\n\nthree", "one two\nthree"),
        ("one  two\u{A0}three\tfour", "one two three four"),
        ("| A | B |\n|---|:-:|\n| c | d |", "A\nB\nc\nd"),
        ("- one\n- two", "one\ntwo"),
        ("- [x] done", "done"),
        ("```rust\nlet a = 1;\n```\nend", "let a = 1;\nend"),
        ("a<br>b <b>bold</b> <https://x.io> c < d", "a\nb bold c < d"),
        ("H&amp;M, AT&T", "H&M, AT&T"),
        (r"AT\&T and 2 \* 3", "AT&T and 2 * 3"),
        ("E*TRADE, C++, .NET, snake_case, 5 * 3", "E*TRADE, C++, .NET, snake_case, 5 * 3"),
        ("Yahoo! is [not a link] here", "Yahoo! is [not a link] here"),
        ("", ""),
        ("\n\n", ""),
    ] {
        assert_eq!(text(answer), words, "{answer:?}");
    }
}

#[test]
fn folding_meets_names_halfway() {
    for (written, searched) in [
        ("Nestlé", "nestlé"),
        ("Nestle\u{301}", "nestlé"),
        ("STRAßE", "strasse"),
        ("ﬁnance", "finance"),
        ("Ｓｏｎｙ", "sony"),
        ("İŞ BANKASI", "iş bankasi"),
        ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
        ("Coca\u{2011}Cola", "coca-cola"),
        ("McDonald’s", "mcdonald's"),
        ("Sony™ Alpha®", "sony alpha"),
        ("Ac\u{AD}me\u{200B}", "acme"),
        ("  Coop \u{A0} 365  ", "coop 365"),
        ("ｶﾞ", "ガ"),
    ] {
        assert_eq!(fold(written), fold(searched), "{written}");
    }
    assert_eq!(fold("İŞ Bankası"), "iş bankasi");
}

#[test]
fn spans_lead_back_to_the_original() {
    let answer = "1. [**Nestle\u{301}**](https://n.com) & ﬁn";
    let plain = folded(answer, Pace::Quick);
    let at = plain.text().find("nestlé").unwrap();
    let span = plain.source_span(at..at + "nestlé".len()).unwrap();
    assert_eq!(&answer[span], "Nestle\u{301}");
    let at = plain.text().find("fin").unwrap();
    assert_eq!(plain.source_span(at..at + 1), None, "half a ligature has no source");
    assert_eq!(&answer[plain.source_span(at..at + 3).unwrap()], "ﬁn");
    assert_eq!(plain.source_span(0..0), None);
}

fn position_of(answer: &str, word: &str) -> Option<u32> {
    let plain = plain_text(answer);
    plain.list_position(plain.text().find(word).expect("the word"))
}

#[test]
fn items_carry_their_number() {
    let list = "Top tools:\n\n1. **Asana** – good\n   - Pros: fast, like Wrike\n2. **Trello**\n\nAlso Jira.";
    assert_eq!(position_of(list, "Top"), None);
    assert_eq!(position_of(list, "Asana"), Some(1));
    assert_eq!(position_of(list, "Wrike"), Some(1));
    assert_eq!(position_of(list, "Trello"), Some(2));
    assert_eq!(position_of(list, "Jira"), None);
}

#[test]
fn items_come_in_many_shapes() {
    assert_eq!(position_of("- A\n- B\n- C", "C"), Some(3));
    assert_eq!(position_of("* **A**\n* **B**", "B"), Some(2));
    assert_eq!(position_of("1) A\n2) B", "B"), Some(2));
    assert_eq!(position_of("1. A\n1. B\n1. C", "C"), Some(3));
    assert_eq!(position_of("### 1. A\nx\n- y\n\n### 2. B\n\nmore\n", "B"), Some(2));
    assert_eq!(position_of("### 1. A\nx\n- y\n\nz\n### End\nw", "z"), Some(1));
    assert_eq!(position_of("### 1. A\nx\n- y\n\nz\n### End\nw", "w"), None);
    assert_eq!(position_of("**1. A**\nx\n\n**2. B**\ny", "y"), Some(2));
    assert_eq!(position_of("1. A\n- p\n- q\n\n2. B", "q"), Some(1));
    assert_eq!(position_of("• A\n• B", "B"), Some(2));
    assert_eq!(position_of("> 1. A\n> 2. B", "B"), Some(2));
    assert_eq!(position_of("In 2024. We", "We"), None);
    assert_eq!(position_of("2024. We", "We"), None);
}

/// Text made of what answers are made of, and of what breaks them.
pub(crate) fn answers() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "Asana", "sony", "Coop", "365discount", "Monday.com", "C++", "H&M", "Nestle\u{301}",
            "Nestlé", "Å", "É", "ß", "İ", "ı", "ﬁ", "Ｓony", "ソニー", "삼성", "é", "🙂", "👩\u{200D}💻",
            "the best", "www.asana.com", "x@sony.com",
        ]).prop_map(str::to_owned),
        4 => prop::sample::select(vec![
            " ", "  ", "\n", "\n\n", "**", "*", "_", "`", "[", "](", ")", "[1]", "1. ", "- ", "# ",
            "| ", "<b>", "<", "&amp;", "&", "\\", "!", "'s", "’s", "s", ".", ",", "~~", "---\n",
            "\u{301}", "\u{200B}", "\u{FE0F}", "™", "²", "\u{A0}", "【1†x】", "【", "\u{FF9E}", "> ",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "[ -~]{0,8}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_quick_way_is_the_careful_way(answer in answers()) {
        let (quick, careful) = (folded(&answer, Pace::Quick), folded(&answer, Pace::Careful));
        prop_assert_eq!(quick.text(), careful.text());
        let ends: Vec<_> = quick.text().char_indices().map(|(at, _)| at).collect();
        for (index, start) in ends.iter().enumerate() {
            prop_assert_eq!(quick.list_position(*start), careful.list_position(*start));
            for end in ends[index..].iter().skip(1).take(8) {
                prop_assert_eq!(
                    quick.source_span(*start..*end), careful.source_span(*start..*end));
            }
        }
    }

    #[test]
    fn every_span_is_a_slice(answer in any::<String>()) {
        let plain = folded(&answer, Pace::Quick);
        for (at, c) in plain.text().char_indices() {
            if let Some(span) = plain.source_span(at..at + c.len_utf8()) && c != ' ' && c != '\n' {
                prop_assert!(answer.get(span).is_some());
            }
        }
    }
}

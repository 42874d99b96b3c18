use proptest::prelude::*;

use super::*;
use crate::markdown::fold;

fn brands(names: &[&str]) -> Vec<TrackedBrand> {
    (0..)
        .zip(names)
        .map(|(id, name)| TrackedBrand { id, aliases: vec![Alias::new(*name)] })
        .collect()
}

fn matcher(names: &[&str]) -> Matcher {
    Matcher::new(&brands(names)).unwrap()
}

/// The original text of every mention.
fn found<'a>(names: &[&str], answer: &'a str) -> Vec<&'a str> {
    matcher(names).find(answer).iter().map(|mention| &answer[mention.span()]).collect()
}

fn guarded(alias: Alias) -> Matcher {
    Matcher::new(&[TrackedBrand { id: 0, aliases: vec![alias] }]).unwrap()
}

#[test]
fn a_name_is_a_word_of_its_own() {
    assert!(found(&["ada"], "Canada and Nevada are in adaptation.").is_empty());
    assert!(found(&["stripe"], "Zebra stripes; Stripes everywhere; pinstripe").is_empty());
    assert!(found(&["Sony"], "Sony5 xSony Sonya 4Sony").is_empty());
    assert_eq!(
        found(&["Sony"], "Sony, (sony) SONY-made «Sony»/Sony."),
        ["Sony", "sony", "SONY", "Sony", "Sony"]
    );
}

#[test]
fn the_longest_name_wins_across_brands() {
    let matcher = matcher(&["Coop", "Coop 365discount"]);
    let brands: Vec<_> =
        matcher.find("Coop 365discount is not Coop.").iter().map(|m| m.brand).collect();
    assert_eq!(brands, [1, 0]);
    assert_eq!(found(&["Coop", "Coop 365"], "Coop 3650 items"), ["Coop"]);
    assert_eq!(found(&["ab cd", "cd ef"], "xab cd ef"), ["cd ef"]);
    assert_eq!(found(&["New York", "York Times"], "New York Times"), ["New York"]);
}

#[test]
fn names_with_signs_match_as_typed() {
    for name in [
        "Monday.com",
        "C++",
        "7-Eleven",
        "H&M",
        "AT&T",
        "Yahoo!",
        ".NET",
        "E*TRADE",
        "C#",
        "1Password",
        "O'Reilly",
    ] {
        let answer = format!("We like {name}, and **{name}** is fine. {name}");
        assert_eq!(found(&[name], &answer), [name; 3], "{name}");
    }
    assert!(found(&[".NET"], "ASP.NET").is_empty());
    assert!(found(&["Yahoo!"], "Yahoo!Mail").is_empty());
    assert_eq!(found(&["H&M"], "H&amp;M sells"), ["H&amp;M"]);
    assert_eq!(found(&["Coca-Cola"], "Coca\u{2011}Cola"), ["Coca\u{2011}Cola"]);
    assert_eq!(found(&["McDonald's"], "McDonald’s fries"), ["McDonald’s"]);
}

#[test]
fn possessives_belong_to_the_brand() {
    assert_eq!(found(&["Asana"], "Asana's and Asana’s and ASANA's"), ["Asana", "Asana", "ASANA"]);
    assert_eq!(found(&["Adidas"], "Adidas' shoes"), ["Adidas"]);
    assert_eq!(found(&["IKEA"], "IKEA:s varuhus"), ["IKEA"]);
}

#[test]
fn a_genitive_s_is_taken_where_it_is_no_plural() {
    assert_eq!(found(&["Sony"], "Sonys nye hovedtelefoner"), ["Sony"]);
    assert_eq!(found(&["Danske Bank"], "Danske Banks gebyrer"), ["Danske Bank"]);
    assert!(found(&["Sony"], "sonys are fine").is_empty(), "no capital");
    assert!(found(&["Apple"], "Apples are fruit").is_empty(), "a common word");
    assert!(found(&["Ada"], "Adas").is_empty(), "too short");
    assert!(found(&["Lexus"], "Lexuss").is_empty(), "ends in s");
    assert!(found(&["Sony"], "Sonysound").is_empty());
}

#[test]
fn scripts_without_spaces_have_no_boundary() {
    assert_eq!(found(&["ソニー"], "私はソニーのヘッドホンが好きです"), ["ソニー"]);
    assert_eq!(found(&["索尼"], "推荐索尼和华为"), ["索尼"]);
    assert_eq!(found(&["삼성"], "삼성은 좋다"), ["삼성"]);
    assert_eq!(found(&["Sony"], "私はSonyのヘッドホン"), ["Sony"]);
    assert_eq!(found(&["โซนี่"], "หูฟังโซนี่ดีมาก"), ["โซนี่"]);
}

#[test]
fn right_to_left_names_have_boundaries() {
    assert_eq!(found(&["سوني"], "أفضل سماعات هي سوني، بلا شك"), ["سوني"]);
    assert!(found(&["سوني"], "بسونيك").is_empty());
    assert_eq!(found(&["סוני"], "האוזניות של \u{200F}סוני\u{200F} טובות"), ["סוני"]);
}

#[test]
fn unicode_spellings_meet() {
    assert_eq!(found(&["Nestlé"], "Nestle\u{301} and NESTLÉ"), ["Nestle\u{301}", "NESTLÉ"]);
    assert!(found(&["Nestle"], "Nestle\u{301}").is_empty(), "a mark makes another letter");
    assert_eq!(found(&["Häagen-Dazs"], "HÄAGEN-DAZS"), ["HÄAGEN-DAZS"]);
    assert_eq!(found(&["Maersk"], "Ｍａｅｒｓｋ lines"), ["Ｍａｅｒｓｋ"]);
    assert_eq!(found(&["Weißbier Co"], "WEISSBIER CO"), ["WEISSBIER CO"]);
    assert_eq!(found(&["İş Bankası"], "iş bankasi, İŞ BANKASI"), ["iş bankasi", "İŞ BANKASI"]);
    assert_eq!(found(&["Firefox"], "ﬁrefox"), ["ﬁrefox"]);
    assert!(found(&["off"], "o\u{FB03}ce").is_empty());
    assert_eq!(found(&["Asana"], "👩\u{200D}💻Asana👍"), ["Asana"]);
    assert_eq!(found(&["Sony"], "Sony™, Sony®, Sony² and Sony\u{200B}"), ["Sony"; 4]);
}

#[test]
fn markdown_does_not_hide_a_name() {
    assert_eq!(found(&["Coop 365"], "**Coop** 365, Coop\n365 and Coop  365").len(), 3);
    assert_eq!(found(&["Asana"], "[Asana](https://asana.com/asana) wins[1]"), ["Asana"]);
    assert_eq!(found(&["Asana", "Trello"], "| Asana | Trello |\n|---|---|"), ["Asana", "Trello"]);
    assert!(found(&["Asana Trello"], "- Asana\n- Trello").is_empty(), "names end with their item");
    assert!(found(&["Asana Trello"], "Asana\n\nTrello").is_empty());
    assert_eq!(found(&["Asana"], "__Asana__ _Asana_ `Asana` ***Asana*** ~~Asana~~"), ["Asana"; 5]);
}

#[test]
fn addresses_are_no_mentions() {
    for answer in [
        "https://asana.com/pricing",
        "See https://x.com/asana-review.",
        "http://blog.example.com/why/asana",
        "www.asana.com",
        "asana.com",
        "Visit asana.com today",
        "app.asana.com/login",
        "asana.co.uk",
        "example.com/asana",
        "[asana.com](https://asana.com)",
        "help@asana.com",
        "asana@example.com",
        "<https://asana.com>",
        "ASANA.COM",
        "(asana.com)",
    ] {
        assert!(found(&["Asana"], answer).is_empty(), "{answer}");
    }
    for answer in [
        "Asana.",
        "I like Asana.It works",
        "Asana/Trello",
        "Asana, e.g.",
        "Asana.js",
        "Asana: https://x.io",
        "“Asana”",
        "@asana",
    ] {
        assert_eq!(found(&["Asana"], answer).len(), 1, "{answer}");
    }
}

#[test]
fn a_domain_that_is_the_name_counts_when_it_stands_alone() {
    for answer in [
        "Monday.com",
        "monday.com's boards",
        "Use **monday.com**.",
        "Asana/Monday.com",
        "Monday.com/Asana",
        "Monday.com-style",
    ] {
        assert_eq!(found(&["Monday.com"], answer).len(), 1, "{answer}");
    }
    for answer in ["www.monday.com", "https://monday.com", "monday.com/pricing", "a@monday.com"] {
        assert!(found(&["Monday.com", "Monday"], answer).is_empty(), "{answer}");
    }
    assert!(found(&["Monday"], "monday.com").is_empty());
}

#[test]
fn guards_tell_names_from_words() {
    let monday = guarded(Alias { require_capital: true, ..Alias::new("Monday") });
    assert_eq!(monday.find("on monday we use **Monday**").len(), 1);
    let near = guarded(Alias {
        must_have_near: vec!["app".into(), "project management".into()],
        ..Alias::new("Monday")
    });
    assert_eq!(near.find("Monday is a Project Management tool").len(), 1);
    assert!(near.find("Monday makes me happy").is_empty(), "`app` within a word");
    assert!(near.find(&format!("Monday {} app", "x ".repeat(150))).is_empty());
    let apple = guarded(Alias {
        forbidden_after: vec!["pie".into(), "juice".into()],
        forbidden_before: vec!["pine".into(), "Big".into()],
        ..Alias::new("Apple")
    });
    assert!(apple.find("apple pie, apple-juice, big Apple, pine apple").is_empty());
    assert_eq!(apple.find("Apple pies, ambig Apple").len(), 2);
}

#[test]
fn a_shared_alias_goes_to_the_first_brand_whose_guards_hold() {
    let with = |id, near: &str| TrackedBrand {
        id,
        aliases: vec![Alias { must_have_near: vec![near.into()], ..Alias::new("Delta") }],
    };
    let matcher = Matcher::new(&[with(7, "flight"), with(9, "faucet")]).unwrap();
    assert_eq!(matcher.find("a Delta faucet")[0].brand, 9);
    assert_eq!(matcher.find("a Delta flight")[0].brand, 7);
    assert!(matcher.find("the delta of a river").is_empty());
}

#[test]
fn ranks_follow_first_mention_and_positions_the_list() {
    let answer = "Top picks:\n\n1. **Trello** – simple\n2. **Asana** – better than Trello\n";
    let mentions = matcher(&["Asana", "Trello", "Jira"]).find(answer);
    let seen: Vec<_> = mentions.iter().map(|m| (m.brand, m.rank, m.list_position)).collect();
    assert_eq!(seen, [(1, 1, Some(1)), (0, 2, Some(2)), (1, 1, Some(2))]);
}

#[test]
fn a_prompt_is_branded_when_it_names_an_own_brand() {
    let own = matcher(&["Asana"]);
    assert!(is_branded("is asana better than trello?", &own));
    assert!(!is_branded("best project tools", &own));
    assert!(!is_branded("Asanas poses in yoga".to_lowercase().as_str(), &own));
}

#[test]
fn buffers_do_not_leak_between_answers() {
    let matcher = matcher(&["Asana", "Trello"]);
    let mut scratch = Scratch::default();
    assert_eq!(matcher.find_with(&mut scratch, "1. Trello\n2. Asana").len(), 2);
    let second = matcher.find_with(&mut scratch, "Asana").to_vec();
    assert_eq!(second, matcher.find("Asana"));
    assert_eq!((second[0].rank, second[0].list_position), (1, None));
}

#[test]
fn nothing_to_find_is_no_error() {
    assert!(Matcher::new(&[]).unwrap().find("Asana").is_empty());
    assert!(matcher(&["", "  ", "™"]).find("Asana ™").is_empty());
    assert!(matcher(&["Asana"]).find("").is_empty());
}

#[test]
fn aliases_are_linted() {
    let tracked = brands(&["Coop 365discount", "Asana", "Apple"]);
    let lint = |text: &str| lint_alias(&Alias::new(text), 99, &tracked);
    assert_eq!(lint("Zyxel"), []);
    assert_eq!(lint(" ™ "), [AliasWarning::Empty]);
    assert_eq!(lint("HP"), [AliasWarning::TooShort]);
    assert_eq!(lint("索尼"), []);
    assert_eq!(lint("Monday"), [AliasWarning::CommonWord]);
    assert_eq!(lint("Coop"), [AliasWarning::PartOf { brand: 0, alias: 0 }]);
    assert_eq!(lint("Coo"), []);
    assert_eq!(lint("Asana Inc"), [AliasWarning::Contains { brand: 1, alias: 0 }]);
    assert_eq!(lint("ASANA"), [AliasWarning::SameAs { brand: 1, alias: 0 }]);
    assert_eq!(lint_alias(&Alias::new("Asana"), 1, &tracked), []);
    let guarded = Alias { require_capital: true, ..Alias::new("Monday") };
    assert_eq!(lint_alias(&guarded, 99, &tracked), []);
}

#[test]
fn competitors_are_suggested_from_lists() {
    let tracked = matcher(&["Asana"]);
    let mut scratch = Scratch::default();
    let mut candidates = CompetitorCandidates::default();
    candidates.add(
        &tracked,
        &mut scratch,
        "1. **Asana** – good\n2. **ClickUp**: fast\n3. **Notion** (docs)\n4. Pros: many\n5. Free Plan\n6. really any tool",
    );
    candidates.add(&tracked, &mut scratch, "- **Clickup**\n- ClickUp again, Notion\n- Basecamp");
    candidates.add(&tracked, &mut scratch, "We like Wrike and Asana.");
    let names: Vec<_> =
        candidates.into_sorted().into_iter().map(|c| (c.name, c.answers, c.beside)).collect();
    assert_eq!(
        names,
        [("ClickUp".to_owned(), 2, 1), ("Notion".to_owned(), 1, 1), ("Basecamp".to_owned(), 1, 0)]
    );
}

const NAMES: [&str; 16] = [
    "Asana",
    "Sony",
    "Coop",
    "Coop 365discount",
    "Monday.com",
    "C++",
    "H&M",
    "Nestlé",
    "ソニー",
    "삼성",
    "Fi",
    "ss",
    "i",
    "ab",
    "é",
    "best",
];

proptest! {
    // A slice without markup folds to the alias; one with markup does once that is left out.
    #[test]
    fn a_span_is_the_alias(answer in crate::markdown::tests::answers()) {
        for mention in matcher(&NAMES).find(&answer) {
            let alias = fold(NAMES[mention.brand as usize]);
            let slice = &answer[mention.span()];
            let written = fold(slice);
            if !slice.contains(|c| "*_~`\\[]()<>&|【】#\n".contains(c)) {
                prop_assert_eq!(&written, &alias);
            }
            let mut rest = written.chars();
            let mut letters = alias.chars().filter(|c| *c != ' ');
            prop_assert!(letters.all(|c| rest.any(|other| other == c)), "{}", written);
        }
    }

    #[test]
    fn the_quick_search_is_the_slow_search(answer in crate::markdown::tests::answers()) {
        let matcher = matcher(&NAMES);
        let quick: Vec<_> =
            matcher.find(&answer).iter().map(|m| (m.brand, m.span().start, m.span().len())).collect();
        prop_assert_eq!(quick, matcher.find_slowly(&answer));
    }

    #[test]
    fn ranks_count_from_one_without_gaps(answer in crate::markdown::tests::answers()) {
        let mut highest = 0;
        for mention in matcher(&NAMES).find(&answer) {
            prop_assert!(mention.rank >= 1 && mention.rank <= highest + 1);
            highest = highest.max(mention.rank);
        }
    }

    #[test]
    fn any_text_can_be_searched(answer in any::<String>()) {
        matcher(&NAMES).find(&answer);
    }
}

use super::*;

fn of(sentence: &str, brand: &str, others: bool) -> Option<Sentiment> {
    let at = sentence.find(brand).unwrap();
    judge(sentence, at..at + brand.len(), others)
}

const GOOD: Option<Sentiment> = Some(Sentiment::Positive);
const PLAIN: Option<Sentiment> = Some(Sentiment::Neutral);
const BAD: Option<Sentiment> = Some(Sentiment::Negative);

#[test]
fn a_sentence_speaks_of_the_brand_it_names() {
    for (sentence, expected) in [
        ("Asana is a great tool.", GOOD),
        ("Asana is not great.", BAD),
        ("Asana is not the best.", BAD),
        ("Asana isn't bad.", GOOD),
        ("Asana is not only fast, it is reliable.", GOOD),
        ("Asana was founded in 2008.", PLAIN),
        ("Asana is good but expensive.", GOOD),
        ("**Asana** – excellent for teams", GOOD),
        ("Avoid Asana.", BAD),
        ("We do not recommend Asana.", BAD),
        ("Asana er et godt valg.", GOOD),
        ("Asana er ikke billig.", BAD),
        ("Asana ist nicht empfehlenswert.", BAD),
        ("Asana är inte bra.", BAD),
        ("Asana", None),
        ("アサナはAsanaです", None),
        ("Asana est un excellent outil", GOOD),
        ("Asana propose plusieurs formules", None),
    ] {
        assert_eq!(of(sentence, "Asana", false), expected, "{sentence}");
    }
}

#[test]
fn brands_in_one_sentence_are_told_apart() {
    let contrast = "Asana is great, but Trello is clunky.";
    assert_eq!(of(contrast, "Asana", true), GOOD);
    assert_eq!(of(contrast, "Trello", true), BAD);
    let comparison = "Asana is better than Trello for teams.";
    assert_eq!(of(comparison, "Asana", true), GOOD);
    assert_eq!(of(comparison, "Trello", true), PLAIN);
    let aside = "Unlike Trello, Asana is great.";
    assert_eq!(of(aside, "Trello", true), PLAIN);
    assert_eq!(of(aside, "Asana", true), GOOD);
    let trailing = "Trello is great, unlike Jira, and so is Asana";
    assert_eq!(of(trailing, "Jira", true), PLAIN);
    assert_eq!(of(trailing, "Asana", true), GOOD);
    let both = "Asana and Trello are excellent.";
    assert_eq!(of(both, "Asana", true), GOOD);
    assert_eq!(of(both, "Trello", true), GOOD);
}

#[test]
fn neighbouring_sentences_do_not_bleed() {
    assert_eq!(of("Jira is terrible. Asana is there. Trello is great.", "Asana", false), PLAIN);
}

fn is_pick(sentence: &str, brand: &str) -> bool {
    let folded = sentence.to_lowercase();
    let at = folded.find(brand).unwrap();
    Reading::of(&folded, &(at..at + brand.len())).judge(at, true).pick
}

#[test]
fn a_pick_is_recommended() {
    assert!(is_pick("for most people we recommend asana", "asana"));
    assert!(is_pick("asana is the best overall", "asana"));
    assert!(!is_pick("asana is not recommended", "asana"));
    assert!(!is_pick("i don't recommend asana", "asana"));
    assert!(!is_pick("asana is good", "asana"));
    assert!(is_pick("trello is fine, but asana is our pick", "asana"));
    assert!(!is_pick("trello is fine, but asana is our pick", "trello"));
}

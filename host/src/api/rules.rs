//! Rules of input that a schema cannot express, collected so that all broken ones are told.

use crate::{App, Error, Result, Violation};
use url::Url;

/// The rules broken so far.
#[derive(Default)]
pub(super) struct Rules(Vec<Violation>);

impl Rules {
    pub(super) fn require(&mut self, holds: bool, pointer: impl Into<String>, detail: &str) {
        if !holds {
            self.0.push(Violation { pointer: pointer.into(), detail: detail.into() });
        }
    }

    /// Ends the checks.
    pub(super) fn check(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }

    pub(super) fn name(&mut self, pointer: &str, name: &str) {
        self.require(!name.trim().is_empty(), pointer, "must have visible characters");
    }

    pub(super) fn tags(&mut self, pointer: &str, tags: &[String]) {
        for (index, tag) in tags.iter().enumerate() {
            let fits = !tag.trim().is_empty() && tag.chars().count() <= 50;
            self.require(fits, format!("{pointer}/{index}"), "must have 1 to 50 characters");
        }
    }

    pub(super) fn timezone(&mut self, pointer: &str, zone: &str) {
        let known = zone.parse::<chrono_tz::Tz>().is_ok();
        self.require(known, pointer, "must be an IANA time zone, such as Europe/Copenhagen");
    }

    pub(super) fn language(&mut self, pointer: &str, language: &str) {
        let mut parts = language.split('-');
        let primary = parts.next().unwrap_or_default();
        let holds = (2..=8).contains(&primary.len())
            && primary.bytes().all(|b| b.is_ascii_alphabetic())
            && parts.all(|part| {
                (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
            });
        self.require(holds, pointer, "must be a BCP 47 language tag, such as en or pt-BR");
    }

    pub(super) fn country(&mut self, pointer: &str, country: &str) {
        let known = country.len() == 2 && COUNTRIES.split(' ').any(|code| code == country);
        self.require(known, pointer, "must be an ISO 3166-1 alpha-2 code in capitals, such as DK");
    }

    /// An address that a workspace may let us call.
    pub(super) fn target(&mut self, app: &App, pointer: &str, address: &str) {
        let url = match Url::parse(address) {
            Ok(url) => url,
            Err(error) => {
                self.require(false, pointer, &format!("is no URL: {error}"));
                return;
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            self.require(false, pointer, "must not hold a user name or a password");
        }
        self.require(url.fragment().is_none(), pointer, "must not end with a `#…`");
        if let Err(refusal) = app.egress.check(&url) {
            self.require(false, pointer, &format!("cannot be called: {}", refusal.reason));
        }
    }

    pub(super) fn domain(&mut self, pointer: &str, domain: &str) {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        let holds = domain.len() <= 253 && domain.contains('.') && domain.split('.').all(label);
        self.require(
            holds,
            pointer,
            "must be a host name without scheme or path, such as acme.com",
        );
    }
}

/// ISO 3166-1 alpha-2, as assigned.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI \
    BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY \
    CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN \
    GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH \
    KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO \
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL \
    PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV \
    SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN \
    VU WF WS YE YT ZA ZM ZW";

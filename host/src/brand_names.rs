//! Tracked brands as the analysis wants them.

use crate::store::brands::{Alias, Brand, BrandKind};
use aiv_analysis::{answers, mentions};

/// A brand under the index that mentions will carry.
pub(crate) fn known(id: u32, brand: &Brand) -> answers::Brand {
    let name = Alias::plain(&brand.name);
    // The name is an alias too, unless an alias with guards says how it may stand.
    let named = brand.aliases.iter().any(|alias| alias.text == brand.name);
    let aliases = brand.aliases.iter().chain((!named).then_some(&name));
    answers::Brand {
        id,
        own: brand.kind == BrandKind::Own,
        aliases: aliases.map(known_alias).collect(),
        domains: brand.domains.0.clone(),
    }
}

fn known_alias(alias: &Alias) -> mentions::Alias {
    let Alias { text, require_capital, must_have_near, forbidden_before, forbidden_after } = alias;
    mentions::Alias {
        text: text.clone(),
        require_capital: *require_capital,
        must_have_near: must_have_near.clone(),
        forbidden_before: forbidden_before.clone(),
        forbidden_after: forbidden_after.clone(),
    }
}

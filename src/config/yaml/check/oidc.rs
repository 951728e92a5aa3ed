//! Sign-in by OpenID Connect.

use super::Checker;
use super::tls::has_certificate;
use crate::yaml::document::beside;
use crate::yaml::nearest::did_you_mean_or_list;
use crate::yaml::place::Place;
use crate::yaml::types;
use crate::yaml::valid::Oidc;
use tollgate_base::Secret;

impl Checker<'_> {
    pub(super) fn oidc(
        &mut self,
        place: &Place,
        oidc: &types::Oidc,
        accounts: &[&str],
    ) -> Option<Oidc> {
        let at = place.key("issuer");
        let issuer = self.called(&at, &Secret::new(&*oidc.issuer));
        if oidc.issuer.contains('?') {
            let hint = "write it as the provider's `/.well-known/openid-configuration` has it";
            self.fault(&at, "an issuer has no query", Some(hint.to_owned()));
        }
        let claim = oidc.groups_claim.as_deref().unwrap_or("groups");
        for (key, text) in [("client_id", &*oidc.client_id), ("groups_claim", claim)] {
            if text.trim().is_empty() {
                self.fault(&place.key(key), "this is empty", None);
            }
        }
        for (i, scope) in oidc.scopes.iter().flatten().enumerate() {
            let fine = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
            if scope.is_empty() || !scope.bytes().all(fine) {
                let hint = Some("write each scope as an entry of its own".to_owned());
                self.fault(&place.key("scopes").index(i), "this is not a scope", hint);
            }
        }
        if oidc.roles.is_empty() {
            let hint = "map a group: `roles: [{ group: platform, role: full }]`";
            let message = "nobody could sign in: no group has a role";
            self.fault(&place.key("roles"), message, Some(hint.to_owned()));
        }
        for (i, role) in oidc.roles.iter().enumerate() {
            let place = place.key("roles").index(i);
            if role.group.is_empty() {
                self.fault(&place.key("group"), "this is empty", None);
            }
            let account = role.account.as_deref();
            if let Some(account) = account.filter(|account| !accounts.contains(account)) {
                // It may have been created over the API.
                let hint = did_you_mean_or_list(account, "the file has", accounts.iter().copied());
                let message = format!("the configuration declares no account `{account}`");
                self.warn(&place.key("account"), message, hint);
            }
        }
        let ca = oidc.ca.as_ref().and_then(|ca| {
            let at = place.key("ca");
            let ca = beside(self.merged.file_of(&at), ca);
            self.pem(&at, &ca, "a certificate", has_certificate)
        });
        let default = || ["profile", "email"].map(str::to_owned).to_vec();
        let secret = oidc.client_secret.clone();
        Some(Oidc {
            shown: issuer?.authority,
            issuer: oidc.issuer.clone(),
            client_id: oidc.client_id.clone(),
            client_secret: secret.filter(|secret| !secret.expose().is_empty()),
            scopes: oidc.scopes.clone().unwrap_or_else(default),
            groups_claim: claim.to_owned(),
            roles: oidc.roles.clone(),
            ca: ca.map(|pem| String::from_utf8_lossy(&pem).into_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::secrets::Role;
    use crate::yaml::parse;

    const GOOD: &str = "issuer: 'https://login.example'\n    client_id: gate\n    roles: [{ group: ops, role: full }]";

    #[test]
    fn an_identity_provider_has_defaults_and_faults_have_lines() {
        let load = |oidc: &str| parse(&format!("admin:\n  oidc:\n    {oidc}\n"), &|_| None);
        let oidc = load(GOOD).unwrap().admin.oidc.unwrap();
        let (shown, claim) = (&*oidc.shown, &*oidc.groups_claim);
        assert_eq!((shown, claim), ("login.example", "groups"));
        assert_eq!(oidc.scopes, ["profile", "email"]);
        assert_eq!(oidc.roles[0].role, Role::Full);
        // What is told; nothing of what is merely a warning.
        for (was, is, told) in [
            (
                "https://login.example",
                "login.example",
                ":3: admin.oidc.issuer: not a URL",
            ),
            ("https:", "http:", ""),
            ("login.example", "169.254.169.254", "must not be called"),
            (
                "login.example",
                "login.example/?a=b",
                "an issuer has no query",
            ),
            ("gate", "''", ":4: admin.oidc.client_id: this is empty"),
            (
                "[{ group: ops, role: full }]",
                "[]",
                ":5: admin.oidc.roles: nobody could sign in",
            ),
            ("role: full", "role: all", "admin.oidc.roles[0].role"),
            ("role: full", "role: full, account: acme", ""),
            ("role: full", "role: full, accnt: acme", "accnt"),
        ] {
            match load(&GOOD.replace(was, is)) {
                Ok(config) => assert!(told.is_empty() && !config.warnings.is_empty(), "{is}"),
                Err(faults) => {
                    let faults = faults.to_string();
                    assert!(!told.is_empty() && faults.contains(told), "{faults}");
                }
            }
        }
    }
}

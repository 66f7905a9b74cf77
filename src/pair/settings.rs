//! What does the file say of the pair?

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::pair::fifo::InstanceName;
use crate::pair::role::Role;
use crate::pair::sync::SyncSettings;

/// The settings of the pair. Without any, the director is alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairSettings {
    /// The FIFO that the VRRP daemon writes to.
    pub notify_fifo: Option<PathBuf>,
    /// The instance whose state counts where the address names none; none: the first by name of
    /// those that were heard.
    pub notify_instance: Option<InstanceName>,
    /// The virtual addresses; the first decides over the role of the director.
    pub vips: Vec<Vip>,
    /// Who tells people.
    pub speak: Speak,
    /// The kernel's connection synchronisation; none: it is left alone.
    pub sync: Option<SyncSettings>,
}

impl PairSettings {
    /// Whether the file names something from which a role follows.
    #[must_use]
    pub fn has_source(&self) -> bool {
        self.notify_fifo.is_some() || !self.vips.is_empty()
    }

    /// The instances that the file names: `notify_instance`, and those of its addresses.
    pub fn instances(&self) -> impl Iterator<Item = &InstanceName> {
        let of_vips = self.vips.iter().filter_map(|vip| vip.instance.as_ref());
        self.notify_instance.iter().chain(of_vips)
    }
}

/// A virtual address that moves between the directors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vip {
    /// Without a prefix length.
    pub address: IpAddr,
    /// The instance that moves it.
    pub instance: Option<InstanceName>,
}

impl Vip {
    /// Most addresses of a file: far more than directors have, few enough for one look a second.
    pub const COUNT_MAX: usize = 256;

    /// Reads the value of `vip`: `ADDRESS [instance NAME] ...`.
    ///
    /// # Errors
    ///
    /// What to write instead.
    pub fn list(text: &str) -> Result<Vec<Self>, String> {
        let mut vips: Vec<Self> = Vec::new();
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            if word == "instance" {
                let named = words.next().map(str::parse).transpose()?;
                let before = vips.last_mut().filter(|vip| vip.instance.is_none());
                match (before, named) {
                    (Some(vip), Some(name)) => vip.instance = Some(name),
                    (None, _) | (_, None) => {
                        return Err("write ADDRESS instance NAME".to_owned());
                    }
                }
                continue;
            }
            let address = word.split_once('/').map_or(word, |(address, _)| address);
            let address: IpAddr = address.parse().map_err(|_| {
                format!("\"{word}\" is no address: write ADDRESS [instance NAME] ...")
            })?;
            if vips.iter().any(|vip| vip.address == address) {
                return Err(format!("write {address} once"));
            }
            let instance = None;
            vips.push(Self { address, instance });
        }
        match vips.len() {
            0 => Err("write at least one address".to_owned()),
            count if count > Self::COUNT_MAX => {
                Err(format!("write at most {} addresses", Self::COUNT_MAX))
            }
            _ => Ok(vips),
        }
    }
}

/// Which directors tell people: by mail, webhook and program. The table is never meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speak {
    /// The active one.
    #[default]
    Active,
    /// The one that is not, because it has the time.
    Standby,
    /// Both, always.
    Both,
}

impl Speak {
    /// Whether a director of that role tells people. One that is alone always does; one in fault
    /// does only where both do: the other one has its place.
    #[must_use]
    pub const fn allows(self, role: Role) -> bool {
        match (self, role) {
            (Self::Both, _)
            | (_, Role::Alone)
            | (Self::Active, Role::Active)
            | (Self::Standby, Role::Standby) => true,
            (Self::Active, Role::Standby | Role::Fault)
            | (Self::Standby, Role::Active | Role::Fault) => false,
        }
    }
}

impl fmt::Display for Speak {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Active => "active",
            Self::Standby => "standby",
            Self::Both => "both",
        })
    }
}

impl FromStr for Speak {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let all = [Self::Active, Self::Standby, Self::Both];
        let found = all.into_iter().find(|speak| speak.to_string() == word);
        found.ok_or_else(|| "write active, standby or both".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, String> {
        let vips = Vip::list(text)?;
        let shown = vips.iter().map(|vip| match &vip.instance {
            Some(instance) => format!("{}@{instance}", vip.address),
            None => vip.address.to_string(),
        });
        Ok(shown.collect::<Vec<String>>().join(" "))
    }

    #[test]
    fn addresses_may_name_their_instance_and_have_a_prefix() {
        for (text, expected) in [
            ("10.0.0.3", "10.0.0.3"),
            ("10.0.0.3/24 2001:db8::3/64", "10.0.0.3 2001:db8::3"),
            (
                "10.0.0.3 instance VI_1 10.0.0.4 instance VI_2",
                "10.0.0.3@VI_1 10.0.0.4@VI_2",
            ),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            "instance VI_1",
            "10.0.0.3 instance",
            "10.0.0.3 instance A instance B",
            "10.0.0.3 10.0.0.3",
            "web",
            "10.0.0.3, 10.0.0.4",
        ] {
            assert!(shown(wrong).is_err(), "{wrong}");
        }
        let many: Vec<String> = (0..257)
            .map(|n| format!("10.0.{}.{}", n / 200, n % 200))
            .collect();
        assert!(shown(&many.join(" ")).is_err());
        assert!(shown(&many[1..].join(" ")).is_ok());
    }

    #[test]
    fn exactly_one_of_a_pair_speaks_unless_both_are_to() {
        for speak in [Speak::Active, Speak::Standby] {
            assert!(
                speak.allows(Role::Active) != speak.allows(Role::Standby),
                "{speak}"
            );
            assert!(speak.allows(Role::Alone) && !speak.allows(Role::Fault));
        }
        for role in [Role::Active, Role::Standby, Role::Fault, Role::Alone] {
            assert!(Speak::Both.allows(role));
        }
        for word in ["active", "standby", "both"] {
            assert_eq!(word.parse::<Speak>().unwrap().to_string(), word);
        }
        assert!("Active".parse::<Speak>().is_err());
    }
}

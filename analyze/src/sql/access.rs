//! How an engine gets at a log in an object store: by the same variables as this program, never by a secret in the text.

use std::{collections::BTreeSet, fmt::Write as _};

use anyhow::Context as _;

/// A variable of the environment; empty is unset.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What DuckDB needs to be told before it reads these URLs; nothing where there are none.
pub(super) fn duckdb<'a>(
    urls: impl Iterator<Item = &'a str>,
    variable: impl Fn(&str) -> Option<String>,
) -> String {
    let schemes: BTreeSet<&str> = urls.filter_map(|url| Some(url.split_once("://")?.0)).collect();
    let mut text = String::new();
    for scheme in schemes {
        match scheme {
            "s3" | "s3a" => text.push_str(&duckdb_s3(&variable)),
            "gs" => text.push_str(
                "-- DuckDB reads gs:// with HMAC keys: CREATE SECRET (TYPE gcs, KEY_ID '…', SECRET '…');\n\
                 INSTALL httpfs; LOAD httpfs;\n",
            ),
            _ => {
                let account = variable("AZURE_STORAGE_ACCOUNT_NAME");
                let account =
                    account.map(|name| format!(", ACCOUNT_NAME {}", quoted(&name))).unwrap_or_default();
                writeln!(
                    text,
                    "INSTALL azure; LOAD azure;\n\
                     CREATE OR REPLACE SECRET swarmtally_azure (TYPE azure, PROVIDER credential_chain{account});"
                )
                .unwrap_or_default();
            }
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// The credentials are looked for where the AWS tools have them; the rest stands in no such place that DuckDB looks at.
fn duckdb_s3(variable: &impl Fn(&str) -> Option<String>) -> String {
    let mut secret = "TYPE s3, PROVIDER credential_chain".to_owned();
    // Writing to a String cannot fail.
    if let Some(region) = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")) {
        write!(secret, ", REGION {}", quoted(&region)).unwrap_or_default();
    }
    if let Some(endpoint) = variable("AWS_ENDPOINT_URL").or_else(|| variable("AWS_ENDPOINT")) {
        let (scheme, place) = endpoint.split_once("://").unwrap_or(("https", &endpoint));
        let (place, is_encrypted) = (place.trim_end_matches('/'), scheme != "http");
        write!(secret, ", ENDPOINT {}, URL_STYLE 'path', USE_SSL {is_encrypted}", quoted(place))
            .unwrap_or_default();
    }
    format!(
        "INSTALL httpfs; LOAD httpfs;\nINSTALL aws; LOAD aws;\nCREATE OR REPLACE SECRET swarmtally_s3 ({secret});\n"
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A URL as Spark's file systems are named: `s3a://`, `gs://`, `abfss://`.
///
/// # Errors
/// One line for the user: Azure's URLs name the account, which the environment does not.
pub(super) fn spark_url(url: &str, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let (scheme, place) = url.split_once("://").unwrap_or(("", url));
    Ok(match scheme {
        "s3" | "s3a" => format!("s3a://{place}"),
        "gs" => url.to_owned(),
        _ => {
            let account = variable("AZURE_STORAGE_ACCOUNT_NAME")
                .with_context(|| format!("{url}: Spark needs the account: set AZURE_STORAGE_ACCOUNT_NAME"))?;
            let (container, prefix) = place.split_once('/').unwrap_or((place, ""));
            format!("abfss://{container}@{account}.dfs.core.windows.net/{prefix}")
                .trim_end_matches('/')
                .to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unset(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn duckdb_is_told_of_an_endpoint_and_of_no_secret() {
        let variable = |name: &str| match name {
            "AWS_ENDPOINT_URL" => Some("http://127.0.0.1:9000/".to_owned()),
            "AWS_REGION" => Some("eu-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("hush".to_owned()),
            _ => None,
        };
        let text = duckdb(["s3://bucket/a", "s3://bucket/b"].into_iter(), variable);
        assert_eq!(
            text,
            "INSTALL httpfs; LOAD httpfs;\nINSTALL aws; LOAD aws;\nCREATE OR REPLACE SECRET swarmtally_s3 (TYPE s3, \
             PROVIDER credential_chain, REGION 'eu-1', ENDPOINT '127.0.0.1:9000', URL_STYLE 'path', USE_SSL false);\n\n"
        );
        assert!(duckdb(["az://container"].into_iter(), unset).contains("TYPE azure"));
        assert!(duckdb(["gs://bucket"].into_iter(), unset).contains("LOAD httpfs"));
        assert_eq!(duckdb([].into_iter(), unset), "");
    }

    #[test]
    fn spark_names_stores_in_its_own_way() {
        assert_eq!(spark_url("s3://bucket/some/prefix", unset).unwrap(), "s3a://bucket/some/prefix");
        assert_eq!(spark_url("gs://bucket/p", unset).unwrap(), "gs://bucket/p");
        let account = |_: &str| Some("account".to_owned());
        assert_eq!(
            spark_url("az://box/p/q", account).unwrap(),
            "abfss://box@account.dfs.core.windows.net/p/q"
        );
        assert!(
            spark_url("az://box/p", unset).unwrap_err().to_string().contains("AZURE_STORAGE_ACCOUNT_NAME")
        );
    }
}

//! What Azure answers, compared with what it publishes.

mod before;
mod examples;

use super::*;

const GROUP: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/fleet";

struct Client {
    azure: MemoryAzure,
    token: String,
}

impl Client {
    async fn new() -> Self {
        let azure = MemoryAzure::start(MemoryHosts::new()).await.unwrap();
        azure.set_looks(1);
        let mut client = Client { azure, token: String::new() };
        client.token = client.grant(SECRET).body["access_token"].as_str().unwrap().to_owned();
        client
    }

    fn grant(&self, secret: &str) -> Answer {
        let scope = format!("{}/.default", self.azure.endpoint());
        let body = format!(
            "client_id={CLIENT}&client_secret={}&grant_type=client_credentials&scope={scope}",
            secret.replace(' ', "+")
        );
        let path = format!("/{DIRECTORY}/oauth2/v2.0/token");
        let request = Request { method: "POST".to_owned(), path, body, ..Request::default() };
        self.azure.answer(&request).unwrap()
    }

    fn ask(&self, method: &str, path: &str, version: &str, body: &Value) -> Answer {
        let request = Request {
            method: method.to_owned(),
            path: format!("{GROUP}{path}"),
            query: format!("api-version={version}&$expand=instanceView"),
            headers: vec![("authorization".to_owned(), format!("Bearer {}", self.token))],
            body: if body.is_null() { String::new() } else { body.to_string() },
        };
        self.azure.answer(&request).unwrap()
    }

    /// Follows the links of an answer to the end of what it began.
    fn follow(&self, answer: &Answer) {
        for link in ["azure-asyncoperation", "location"] {
            let Some(link) = answer.header(link) else { continue };
            let path = link.strip_prefix(&self.azure.endpoint()).unwrap();
            let (path, query) = path.split_once('?').unwrap();
            let request = Request {
                method: "GET".to_owned(),
                path: path.to_owned(),
                query: query.to_owned(),
                headers: vec![("authorization".to_owned(), format!("Bearer {}", self.token))],
                body: String::new(),
            };
            let ended = self.azure.answer(&request).unwrap();
            assert_eq!(ended.status, 200, "{ended:?}");
            if link.contains("/operations/") {
                assert_eq!(ended.body["status"], "Succeeded");
            }
        }
    }
}

/// What a whole machine is made of, in the order of making, each with the method `PUT`.
fn requests() -> Vec<(Kind, String, Value)> {
    let mut requests = shared();
    requests.extend(own());
    requests.push((
        Kind::Computer,
        "/providers/Microsoft.Compute/virtualMachines/a".to_owned(),
        resource(&json!({
            "hardwareProfile": {"vmSize": "Standard_DS1_v2"},
            "networkProfile": {"networkInterfaces": [at("networkInterfaces/a")]},
            "osProfile": {"adminUsername": "ops", "computerName": "a", "linuxConfiguration": {
                "disablePasswordAuthentication": true,
                "ssh": {"publicKeys": [{
                    "path": "/home/ops/.ssh/authorized_keys",
                    "keyData": format!("ssh-ed25519 {} ops", "A".repeat(68)),
                }]},
            }},
            "storageProfile": {
                "imageReference": {"publisher": "p", "offer": "o", "sku": "s", "version": "v"},
                "osDisk": {
                    "name": "d",
                    "createOption": "FromImage",
                    "deleteOption": "Delete",
                    "managedDisk": {"storageAccountType": "StandardSSD_LRS"},
                },
            },
        })),
    ));
    requests
}

fn of(path: &str) -> String {
    format!("/providers/Microsoft.Network/{path}")
}

fn at(path: &str) -> Value {
    json!({"id": format!("{GROUP}{}", of(path))})
}

fn resource(properties: &Value) -> Value {
    json!({"location": "westeurope", "tags": {"whose": "ours"}, "properties": properties})
}

fn shared() -> Vec<(Kind, String, Value)> {
    let network = resource(&json!({
        "addressSpace": {"addressPrefixes": ["192.0.2.0/24"]},
        "subnets": [{"name": "s", "properties": {"addressPrefix": "192.0.2.0/25"}}],
    }));
    let subnet = json!({"properties": {"addressPrefix": "192.0.2.128/25"}});
    vec![
        (Kind::Group, String::new(), json!({"location": "westeurope", "tags": {"a": "b"}})),
        (Kind::Network, of("virtualNetworks/n"), network),
        (Kind::Subnet, of("virtualNetworks/n/subnets/t"), subnet),
    ]
}

fn own() -> Vec<(Kind, String, Value)> {
    let rules = resource(&json!({"securityRules": [{"name": "one", "properties": {
        "access": "Allow",
        "destinationAddressPrefix": "*",
        "destinationPortRange": "80",
        "direction": "Inbound",
        "priority": 100,
        "protocol": "Tcp",
        "sourceAddressPrefixes": ["192.0.2.0/24"],
        "sourcePortRange": "*",
    }}]}));
    let mut address = resource(&json!({
        "publicIPAllocationMethod": "Static",
        "publicIPAddressVersion": "IPv4",
    }));
    address["sku"] = json!({"name": "Standard"});
    let interface = resource(&json!({
        "networkSecurityGroup": at("networkSecurityGroups/a"),
        "ipConfigurations": [{"name": "c", "properties": {
            "primary": true,
            "privateIPAllocationMethod": "Dynamic",
            "publicIPAddress": at("publicIPAddresses/a"),
            "subnet": at("virtualNetworks/n/subnets/s"),
        }}],
    }));
    vec![
        (Kind::Rules, of("networkSecurityGroups/a"), rules),
        (Kind::Address, of("publicIPAddresses/a"), address),
        (Kind::Interface, of("networkInterfaces/a"), interface),
    ]
}

async fn whole() -> Client {
    let client = Client::new().await;
    for (kind, path, body) in requests() {
        let made = client.ask("PUT", &path, published::version(kind), &body);
        assert_eq!(made.status, 201, "{kind:?}: {made:?}");
        client.follow(&made);
    }
    client
}

#[tokio::test]
async fn answers_have_the_published_status_and_no_field_that_is_not_published() {
    let client = whole().await;
    let keeps = |kind: Kind, method: &str, answer: &Answer| {
        assert!(published::may_answer(kind, method, answer.status), "{kind:?} {answer:?}");
        assert_eq!(published::unknown_in_answer(kind, &answer.body), None, "{kind:?} {method}");
    };
    for (kind, path, mut body) in requests() {
        if kind == Kind::Network {
            // A subnet that it does not name would be lost.
            let subnet = json!({"name": "t", "properties": {"addressPrefix": "192.0.2.128/25"}});
            body["properties"]["subnets"].as_array_mut().unwrap().push(subnet);
        }
        let version = published::version(kind);
        let seen = client.ask("GET", &path, version, &Value::Null);
        keeps(kind, "GET", &seen);
        assert_eq!(seen.body["properties"]["provisioningState"], "Succeeded");
        let again = client.ask("PUT", &path, version, &body);
        keeps(kind, "PUT", &again);
        assert_eq!((again.status, again.header("azure-asyncoperation")), (200, None), "{kind:?}");
    }
    let version = published::version(Kind::Disk);
    let disk = client.ask("GET", "/providers/Microsoft.Compute/disks/d", version, &Value::Null);
    keeps(Kind::Disk, "GET", &disk);
    let computer = "/providers/Microsoft.Compute/virtualMachines/a";
    let version = published::version(Kind::Computer);
    for verb in ["deallocate", "start", "restart"] {
        let told = client.ask("POST", &format!("{computer}/{verb}"), version, &Value::Null);
        keeps(Kind::Computer, verb, &told);
        client.follow(&told);
    }
}

#[tokio::test]
async fn what_is_needed_is_not_removed_and_a_machine_takes_its_disk_with_it() {
    let client = whole().await;
    let mut all = requests();
    all.retain(|(kind, ..)| !matches!(kind, Kind::Group | Kind::Subnet));
    for (kind, path, _) in all.iter().filter(|(kind, ..)| *kind != Kind::Computer) {
        let refused = client.ask("DELETE", path, published::version(*kind), &Value::Null);
        assert_eq!(refused.status, 400, "{kind:?}: {refused:?}");
    }
    for (kind, path, _) in all.iter().rev() {
        let version = published::version(*kind);
        let told = client.ask("DELETE", path, version, &Value::Null);
        assert!(told.status == 202 && published::may_answer(*kind, "DELETE", 202), "{told:?}");
        client.follow(&told);
        let again = client.ask("DELETE", path, version, &Value::Null);
        assert!(again.status == 204 && published::may_answer(*kind, "DELETE", 204), "{again:?}");
    }
    assert_eq!(client.azure.names(), ["resourceGroups/fleet"]);
}

#[tokio::test]
async fn what_azure_does_not_know_it_refuses() {
    let client = Client::new().await;
    let (kind, path, body) = requests().swap_remove(0);
    let version = published::version(kind);
    assert_eq!(client.ask("PUT", &path, "2001-01-01", &body).status, 400);
    let other = json!({"location": "westeurope", "password": "x"});
    let refused = client.ask("PUT", &path, version, &other);
    assert_eq!(refused.body["error"]["code"], "InvalidRequestContent");
    let missing = client.ask("GET", &path, version, &Value::Null);
    assert_eq!(
        (missing.status, &missing.body["error"]["code"]),
        (404, &"ResourceGroupNotFound".into())
    );
    assert_eq!(client.grant("another").body["error"], "invalid_client");
    client.azure.expire_tokens();
    let over = client.ask("PUT", &path, version, &body);
    assert_eq!(
        (over.status, &over.body["error"]["code"]),
        (401, &"ExpiredAuthenticationToken".into())
    );
}

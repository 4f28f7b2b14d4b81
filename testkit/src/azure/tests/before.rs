//! What has to be there before the request of an example, and is not the example's own.

use super::*;

/// One group, by its path.
struct Group<'a>(&'a str);

type Made = (String, Value);

fn network(name: &str, subnet: &str, prefix: &str) -> Made {
    let wide = if prefix.starts_with("10.") { "10.0.0.0/8" } else { "172.20.0.0/16" };
    let subnets = json!([{"name": subnet, "properties": {"addressPrefix": prefix}}]);
    let properties = json!({"addressSpace": {"addressPrefixes": [wide]}, "subnets": subnets});
    let body = json!({"location": "eastus", "properties": properties});
    (of(&format!("virtualNetworks/{name}")), body)
}

fn small_network(name: &str, subnet: &str) -> Made {
    network(name, subnet, "172.20.2.0/24")
}

fn address(name: &str, location: &str) -> Made {
    let properties =
        json!({"publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4"});
    let sku = json!({"name": "Standard"});
    let body = json!({"location": location, "sku": sku, "properties": properties});
    (of(&format!("publicIPAddresses/{name}")), body)
}

fn rules(name: &str, location: &str, rules: &Value) -> Made {
    let body = json!({"location": location, "properties": {"securityRules": rules}});
    (of(&format!("networkSecurityGroups/{name}")), body)
}

fn rule() -> Value {
    json!({"name": "rule1", "properties": {
        "access": "Allow",
        "destinationAddressPrefix": "*",
        "destinationPortRange": "80",
        "direction": "Inbound",
        "priority": 130,
        "protocol": "*",
        "sourceAddressPrefix": "*",
        "sourcePortRange": "*",
    }})
}

impl Group<'_> {
    fn id(&self, path: &str) -> Value {
        json!({"id": format!("{}{}", self.0, of(path))})
    }

    fn interface(&self, name: &str, subnet: &str, public: Option<&str>) -> Made {
        let mut properties = json!({"subnet": self.id(&format!("virtualNetworks/{subnet}"))});
        if let Some(public) = public {
            properties["publicIPAddress"] = self.id(&format!("publicIPAddresses/{public}"));
        }
        let configurations = json!([{"name": "ipconfig1", "properties": properties}]);
        let properties = json!({"ipConfigurations": configurations});
        let body = json!({"location": "eastus", "properties": properties});
        (of(&format!("networkInterfaces/{name}")), body)
    }

    fn machine(&self, name: &str, interface: &str, location: &str) -> Made {
        let mut body = requests().pop().unwrap().2;
        body["location"] = location.into();
        body["tags"] = json!({"myTag1": "tagValue1"});
        let properties = &mut body["properties"];
        properties["hardwareProfile"]["vmSize"] = "Standard_DS3_v2".into();
        properties["osProfile"]["computerName"] = name.into();
        let interfaces = json!([self.id(&format!("networkInterfaces/{interface}"))]);
        properties["networkProfile"]["networkInterfaces"] = interfaces;
        let disk = &mut properties["storageProfile"]["osDisk"];
        disk["name"] = "myOsDisk".into();
        disk["caching"] = "ReadWrite".into();
        disk["diskSizeGB"] = 30.into();
        (format!("/providers/Microsoft.Compute/virtualMachines/{name}"), body)
    }

    fn whole_machine(&self, name: &str, location: &str) -> Vec<Made> {
        let interface = self.interface("n", "v/subnets/s", None);
        vec![small_network("v", "s"), interface, self.machine(name, "n", location)]
    }

    fn public(&self, interface: &str, name: &str) -> Vec<Made> {
        let interface = self.interface(interface, "v/subnets/s", Some(name));
        vec![small_network("v", "s"), address(name, "westus"), interface]
    }

    fn test_nic(&self) -> Made {
        self.interface("test-nic", "rg1-vnet/subnets/default", Some("test-ip"))
    }

    /// With rules, and a machine that has it.
    fn used_nic(&self) -> [Made; 3] {
        let mut used = self.test_nic();
        used.1["properties"]["networkSecurityGroup"] = self.id("networkSecurityGroups/nsg");
        [rules("nsg", "eastus", &json!([])), used, self.machine("vm1", "test-nic", "eastus")]
    }
}

/// In the order of making.
pub(super) fn made_before(example: &str, group: &str) -> Vec<Made> {
    let group = Group(group);
    let around_nic = [small_network("rg1-vnet", "default"), address("test-ip", "eastus")];
    match example {
        "SubnetCreate" => vec![network("vnetname", "other", "10.1.0.0/16")],
        "SubnetGet" => vec![network("vnetname", "subnet1", "10.0.0.0/16")],
        "NetworkSecurityGroupGet" => vec![rules("testnsg", "westus", &json!([rule()]))],
        "NetworkSecurityGroupDelete" => vec![rules("testnsg", "eastus", &json!([]))],
        "PublicIpAddressGet" => group.public("testDNS649", "testDNS-ip"),
        "PublicIpAddressList" => group.public("n", "ip03"),
        "PublicIpAddressDelete" => vec![address("test-ip", "eastus")],
        "NetworkInterfaceCreate" => around_nic.into(),
        "NetworkInterfaceDelete" => around_nic.into_iter().chain([group.test_nic()]).collect(),
        "NetworkInterfaceGet" => around_nic.into_iter().chain(group.used_nic()).collect(),
        "VirtualMachine_Create_WithSshAuthentication" => {
            let interface = group.interface("{existing-nic-name}", "v/subnets/s", None);
            vec![small_network("v", "s"), interface]
        }
        "VirtualMachine_Get" => group.whole_machine("myVM", "West US"),
        "VirtualMachine_Get_InstanceView" | "VirtualMachine_Delete_Force" => {
            group.whole_machine("myVM", "westus")
        }
        "VirtualMachine_List_MinimumSet_Gen" => {
            group.whole_machine("{virtualMachineName}", "eastus")
        }
        "VirtualMachine_Deallocate_MinimumSet_Gen" => {
            group.whole_machine("aaaaaaaaaaaaaaaa", "eastus")
        }
        "VirtualMachine_Restart_MaximumSet_Gen" | "VirtualMachine_Start_MaximumSet_Gen" => {
            group.whole_machine("aaaaaaaaaaaaaaaaaaaa", "eastus")
        }
        _ => Vec::new(),
    }
}

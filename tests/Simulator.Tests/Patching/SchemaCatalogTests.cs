using MultiCluster.Simulator.OpenApi;

namespace MultiCluster.Simulator.Tests.Patching;

public sealed class SchemaCatalogTests
{
    [Theory]
    [InlineData("", "Pod")]
    [InlineData("apps", "Deployment")]
    [InlineData("apiextensions.k8s.io", "CustomResourceDefinition")]
    [InlineData("events.k8s.io", "Event")]
    public void Catalog_BuiltInKind_IsDescribed(string group, string kind)
    {
        Assert.True(SchemaCatalog.BuiltIn.TryFind(group, kind, out SchemaNode? node));
        Assert.Equal(kind, node.Type!.Name);
        Assert.Contains("metadata", node.Type.Fields.Keys);
    }

    [Fact]
    public void Catalog_ContainerPorts_MergeByOneKeyInPatchesAndByTwoInApply()
    {
        SchemaNode ports = SchemaCatalog.BuiltIn.FindOrUnknown("", "Pod").Child("spec").Child("containers").Element!.Child("ports");

        Assert.Equal("containerPort", ports.PatchMergeKey);
        Assert.Equal([new ListKey("containerPort", null), new ListKey("protocol", "TCP")], ports.Keys);
    }

    [Fact]
    public void Catalog_EveryField_HasADescription() =>
        Assert.All(SchemaCatalog.BuiltIn.Types, type => Assert.All(type.Fields.Values, field => Assert.NotEqual("", field.Description)));
}

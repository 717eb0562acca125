using System.Text.Json.Nodes;
using MultiCluster.Simulator.Patching;

namespace MultiCluster.Simulator.Tests.Patching;

public sealed class PatchTests
{
    [Theory]
    [InlineData("""{"a":1,"b":{"c":2}}""", """{"b":{"c":null,"d":3}}""", """{"a":1,"b":{"d":3}}""")]
    [InlineData("""{"a":[1,2]}""", """{"a":[3]}""", """{"a":[3]}""")]
    [InlineData("""{}""", """{"a":{"b":null}}""", """{"a":{}}""")]
    public void JsonMergePatch_Document_MergesByKey(string target, string patch, string expected) =>
        Assert.Equal(expected, JsonMergePatch.Apply(JsonNode.Parse(target), JsonNode.Parse(patch))!.ToJsonString());

    [Theory]
    [InlineData("""[{"op":"add","path":"/l/-","value":3}]""", """{"a":1,"l":[1,2,3]}""")]
    [InlineData("""[{"op":"add","path":"/l/0","value":0}]""", """{"a":1,"l":[0,1,2]}""")]
    [InlineData("""[{"op":"remove","path":"/l/1"}]""", """{"a":1,"l":[1]}""")]
    [InlineData("""[{"op":"replace","path":"/a","value":{"x~y/z":1}},{"op":"replace","path":"/a/x~0y~1z","value":2}]""", """{"a":{"x~y/z":2},"l":[1,2]}""")]
    [InlineData("""[{"op":"move","from":"/a","path":"/b"}]""", """{"l":[1,2],"b":1}""")]
    [InlineData("""[{"op":"copy","from":"/l/0","path":"/b"},{"op":"test","path":"/b","value":1}]""", """{"a":1,"l":[1,2],"b":1}""")]
    public void JsonPatch_Operations_Apply(string patch, string expected) =>
        Assert.Equal(expected, JsonPatch.Apply(JsonNode.Parse("""{"a":1,"l":[1,2]}""")!, (JsonArray)JsonNode.Parse(patch)!)!.ToJsonString());

    [Theory]
    [InlineData("""[{"op":"test","path":"/a","value":99}]""", PatchFailure.NotApplicable)]
    [InlineData("""[{"op":"remove","path":"/nonesuch"}]""", PatchFailure.NotApplicable)]
    [InlineData("""[{"op":"replace","path":"/l/7","value":1}]""", PatchFailure.NotApplicable)]
    [InlineData("""[{"op":"fly","path":"/a"}]""", PatchFailure.Malformed)]
    [InlineData("""[{"path":"/a"}]""", PatchFailure.Malformed)]
    public void JsonPatch_Unusable_FailsWithItsKind(string patch, object failure) =>
        Assert.Equal((PatchFailure)failure, Assert.Throws<PatchFailedException>(
            () => JsonPatch.Apply(JsonNode.Parse("""{"a":1,"l":[1,2]}""")!, (JsonArray)JsonNode.Parse(patch)!)).Failure);

    [Theory]
    [InlineData("containers merge by name", """[{"name":"b","image":"new"}]""", """[{"name":"a","image":"x"},{"name":"b","image":"new"}]""")]
    [InlineData("a new one is added", """[{"name":"c"}]""", """[{"name":"a","image":"x"},{"name":"b","image":"y"},{"name":"c"}]""")]
    [InlineData("one is deleted", """[{"name":"a","$patch":"delete"}]""", """[{"name":"b","image":"y"}]""")]
    [InlineData("the list is replaced", """[{"$patch":"replace"},{"name":"z"}]""", """[{"name":"z"}]""")]
    [InlineData("a null removes a field", """[{"name":"a","image":null}]""", """[{"name":"a"},{"name":"b","image":"y"}]""")]
    public void StrategicMergePatch_Containers_FollowTheMergeKey(string why, string patch, string expected)
    {
        var pod = (JsonObject)JsonNode.Parse("""{"spec":{"containers":[{"name":"a","image":"x"},{"name":"b","image":"y"}]}}""")!;

        JsonObject patched = StrategicMergePatch.Apply(pod, new JsonObject { ["spec"] = new JsonObject { ["containers"] = JsonNode.Parse(patch) } }, "", "Pod");

        Assert.True(expected == patched["spec"]!["containers"]!.ToJsonString(), why);
    }

    [Fact]
    public void StrategicMergePatch_Directives_OrderDeleteAndRetain()
    {
        var pod = (JsonObject)JsonNode.Parse("""
            {"metadata":{"finalizers":["a","b"]},"spec":{"containers":[{"name":"a"},{"name":"b"}],"volumes":[{"name":"v","emptyDir":{}}]}}
            """)!;
        var patch = (JsonObject)JsonNode.Parse("""
            {"metadata":{"$deleteFromPrimitiveList/finalizers":["a"],"finalizers":["c"]},
             "spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}],
                     "volumes":[{"name":"v","$retainKeys":["name","hostPath"],"hostPath":{"path":"/x"}}]}}
            """)!;

        JsonObject patched = StrategicMergePatch.Apply(pod, patch, "", "Pod");

        Assert.Equal(
            """{"metadata":{"finalizers":["b","c"]},"spec":{"containers":[{"name":"b"},{"name":"a"}],"volumes":[{"name":"v","hostPath":{"path":"/x"}}]}}""",
            patched.ToJsonString());
    }
}

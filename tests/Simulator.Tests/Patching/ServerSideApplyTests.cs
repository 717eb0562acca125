using System.Text.Json.Nodes;
using MultiCluster.Simulator.OpenApi;
using MultiCluster.Simulator.Patching;

namespace MultiCluster.Simulator.Tests.Patching;

public sealed class ServerSideApplyTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly SchemaNode ConfigMap = SchemaCatalog.BuiltIn.FindOrUnknown("", "ConfigMap");
    private static readonly SchemaNode Deployment = SchemaCatalog.BuiltIn.FindOrUnknown("apps", "Deployment");

    [Fact]
    public void Apply_OtherManagersValue_ConflictsUntilForcedAndThenTakesTheFieldOver()
    {
        JsonObject live = Applied(null, "one", """{"data":{"a":"1","b":"1"}}""");
        JsonObject config = Map("""{"data":{"a":"2","c":"2"}}""");

        ApplyOutcome refused = ServerSideApply.Apply(live, config, Writer("two"), force: false, ConfigMap);
        ApplyOutcome forced = ServerSideApply.Apply(live, config, Writer("two"), force: true, ConfigMap);

        Assert.Equal("Apply failed with 1 conflict: conflict with \"one\": .data.a", refused.Message);
        Assert.Equal([new FieldConflict("conflict with \"one\"", ".data.a")], refused.Conflicts);
        AssertJson("""{"a":"2","b":"1","c":"2"}""", forced.Object!["data"]);
        Assert.Equal("""one Apply {"f:data":{"f:b":{}}} | two Apply {"f:data":{"f:a":{},"f:c":{}}}""", Owners(forced.Object));
    }

    [Fact]
    public void Apply_FieldLeftOut_GoesOnlyWhenNobodyElseOwnsIt()
    {
        JsonObject live = Applied(null, "one", """{"data":{"a":"1","b":"1"}}""");
        live = Applied(live, "two", """{"data":{"a":"1"}}""");

        JsonObject after = Applied(live, "one", """{"data":{}}""");

        AssertJson("""{"a":"1"}""", after["data"]);
        Assert.Equal("""one Apply {"f:data":{}} | two Apply {"f:data":{"f:a":{}}}""", Owners(after));
    }

    [Fact]
    public void Apply_Unchanged_KeepsEvenTheTimestamps()
    {
        JsonObject live = Applied(null, "one", """{"data":{"a":"1"}}""");

        ApplyOutcome again = ServerSideApply.Apply(live, Map("""{"data":{"a":"1"}}"""), Writer("one", Start.AddHours(1)), force: false, ConfigMap);

        Assert.True(JsonNode.DeepEquals(live, again.Object));
    }

    [Fact]
    public void Apply_ContainerLeftOut_RemovesTheWholeItem()
    {
        JsonObject live = Deploy(null, """[{"name":"a","image":"x"},{"name":"b","image":"y"}]""");
        live["spec"]!["template"]!["spec"]!["containers"]![1]!["imagePullPolicy"] = "Always";

        JsonObject after = Deploy(live, """[{"name":"a","image":"x"}]""");

        AssertJson("""[{"name":"a","image":"x"}]""", after["spec"]!["template"]!["spec"]!["containers"]);
    }

    [Fact]
    public void Apply_ObjectMadeByUpdate_ConflictsWithThatManagerAndItsVersion()
    {
        JsonObject live = Parse("""{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":2}}""");
        ServerSideApply.TrackUpdate(null, live, Writer("recorder", version: "apps/v1"), Deployment);

        ApplyOutcome outcome = ServerSideApply.Apply(live, Parse("""{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":5}}"""),
            Writer("two", version: "apps/v1"), force: false, Deployment);

        Assert.Equal("Apply failed with 1 conflict: conflict with \"recorder\" using apps/v1: .spec.replicas", outcome.Message);
    }

    [Fact]
    public void TrackUpdate_ChangeOfAnotherManagersField_MovesTheFieldAndKeepsTheRest()
    {
        JsonObject first = Map("""{"metadata":{"name":"m","labels":{"x":"1"}},"data":{"a":"1","b":"1"}}""");
        ServerSideApply.TrackUpdate(null, first, Writer("one"), ConfigMap);
        var second = (JsonObject)first.DeepClone();
        second["data"]!["a"] = "2";
        second["data"]!.AsObject().Remove("b");

        ServerSideApply.TrackUpdate(first, second, Writer("two", Start.AddMinutes(1)), ConfigMap);

        Assert.Equal("""one Update {"f:data":{},"f:metadata":{"f:labels":{".":{},"f:x":{}}}} | two Update {"f:data":{"f:a":{}}}""", Owners(second));
    }

    [Fact]
    public void TrackUpdate_NothingChanged_ChangesNothing()
    {
        JsonObject first = Map("""{"data":{"a":"1"}}""");
        ServerSideApply.TrackUpdate(null, first, Writer("one"), ConfigMap);
        var second = (JsonObject)first.DeepClone();

        ServerSideApply.TrackUpdate(first, second, Writer("two", Start.AddMinutes(1)), ConfigMap);

        Assert.True(JsonNode.DeepEquals(first, second));
    }

    private static FieldWriter Writer(string manager, DateTimeOffset? now = null, string version = "v1") => new(manager, version, "", now ?? Start);

    private static JsonObject Parse(string json) => (JsonObject)JsonNode.Parse(json)!;

    private static JsonObject Map(string json)
    {
        JsonObject map = Parse(json);
        map["apiVersion"] = "v1";
        map["kind"] = "ConfigMap";
        map["metadata"] ??= new JsonObject { ["name"] = "m" };
        return map;
    }

    private static JsonObject Applied(JsonObject? live, string manager, string json) =>
        ServerSideApply.Apply(live, Map(json), Writer(manager), force: false, ConfigMap).Object!;

    private static JsonObject Deploy(JsonObject? live, string containers) => ServerSideApply.Apply(live,
        Parse($$$$$$$"""{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"template":{"spec":{"containers":{{{{{{{containers}}}}}}}}}}}"""),
        Writer("one", version: "apps/v1"), force: false, Deployment).Object!;

    private static string Owners(JsonObject obj) => string.Join(" | ", obj["metadata"]!["managedFields"]!.AsArray()
        .Select(e => $"{e!["manager"]} {e["operation"]} {e["fieldsV1"]!.ToJsonString()}"));

    private static void AssertJson(string expected, JsonNode? actual) => Assert.Equal(JsonNode.Parse(expected)!.ToJsonString(), actual?.ToJsonString());
}

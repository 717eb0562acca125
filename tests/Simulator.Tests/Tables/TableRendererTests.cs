using System.Text.Json.Nodes;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Tests.Tables;

public sealed class TableRendererTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 10, 0, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("-00:00:05", "<invalid>")]
    [InlineData("00:00:00", "0s")]
    [InlineData("00:01:59", "119s")]
    [InlineData("00:02:00", "2m")]
    [InlineData("00:09:59", "9m59s")]
    [InlineData("00:10:01", "10m")]
    [InlineData("02:59:59", "179m")]
    [InlineData("03:00:00", "3h")]
    [InlineData("07:59:00", "7h59m")]
    [InlineData("1.23:59:59", "47h")]
    [InlineData("2.00:00:00", "2d")]
    [InlineData("7.23:00:00", "7d23h")]
    [InlineData("8.01:00:00", "8d")]
    [InlineData("729.00:00:00", "729d")]
    [InlineData("731.00:00:00", "2y1d")]
    [InlineData("3000.00:00:00", "8y")]
    public void Human_Span_HasAtMostTwoUnits(string span, string expected) =>
        Assert.Equal(expected, Durations.Human(TimeSpan.Parse(span, System.Globalization.CultureInfo.InvariantCulture)));

    [Theory]
    [InlineData("running", """{"phase":"Running","containerStatuses":[{"ready":true,"state":{"running":{}},"restartCount":0}]}""", "1/1", "Running", "0")]
    [InlineData("crash loop", """{"phase":"Running","containerStatuses":[{"ready":false,"state":{"waiting":{"reason":"CrashLoopBackOff"}},"restartCount":5,"lastState":{"terminated":{"finishedAt":"2026-01-09T23:55:00Z"}}}]}""", "0/1", "CrashLoopBackOff", "5 (5m ago)")]
    [InlineData("completed", """{"phase":"Succeeded","containerStatuses":[{"ready":false,"state":{"terminated":{"reason":"Completed","exitCode":0}},"restartCount":0}]}""", "0/1", "Completed", "0")]
    [InlineData("failed by signal", """{"phase":"Failed","containerStatuses":[{"ready":false,"state":{"terminated":{"signal":9,"exitCode":137}},"restartCount":0}]}""", "0/1", "Signal:9", "0")]
    [InlineData("evicted", """{"phase":"Failed","reason":"Evicted"}""", "0/1", "Evicted", "0")]
    [InlineData("gated", """{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"SchedulingGated"}]}""", "0/1", "SchedulingGated", "0")]
    public void Pod_State_BecomesOneWord(string why, string status, string ready, string word, string restarts)
    {
        var pod = (JsonObject)JsonNode.Parse($$"""{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c"}]},"status":{{status}}}""")!;

        JsonArray cells = Cells("", "Pod", pod);

        Assert.True((ready, word, restarts) == (cells[1]!.ToString(), cells[2]!.ToString(), cells[3]!.ToString()), $"{why}: {cells.ToJsonString()}");
    }

    [Theory]
    [InlineData(".spec.size", "integer", "3")]
    [InlineData(".status.conditions[?(@.type==\"Ready\")].status", "string", "\"True\"")]
    [InlineData(".metadata.labels['a.b/c']", "string", "\"x\"")]
    [InlineData(".metadata.labels.a\\.b/c", "string", "\"x\"")]
    [InlineData(".spec.list[1]", "string", "\"two\"")]
    [InlineData(".spec.list[*]", "string", "\"one,two\"")]
    [InlineData(".spec.nonesuch", "string", "null")]
    [InlineData(".metadata.creationTimestamp", "date", "\"9d\"")]
    public void CustomColumn_Path_SelectsTheValue(string path, string type, string expected)
    {
        var item = (JsonObject)JsonNode.Parse("""
            {"metadata":{"name":"n","creationTimestamp":"2026-01-01T00:00:00Z","labels":{"a.b/c":"x"}},
             "spec":{"size":3,"list":["one","two"]},"status":{"conditions":[{"type":"Other","status":"False"},{"type":"Ready","status":"True"}]}}
            """)!;
        JsonArray columns = [new JsonObject { ["name"] = "C", ["type"] = type, ["jsonPath"] = path }];

        JsonObject table = TableRenderer.Render("example.com", "Widget", [item], [], RowObject.None, Now, columns);

        Assert.Equal(expected, table["rows"]![0]!["cells"]![1]?.ToJsonString() ?? "null");
    }

    [Fact]
    public void Table_WatchEventAfterTheFirst_HasNoColumns() =>
        Assert.Null(TableRenderer.Render("", "Pod", [], [], RowObject.None, Now, withColumns: false)["columnDefinitions"]);

    private static JsonArray Cells(string group, string kind, JsonObject item) =>
        TableRenderer.Render(group, kind, [item], [], RowObject.None, Now)["rows"]![0]!["cells"]!.AsArray();
}

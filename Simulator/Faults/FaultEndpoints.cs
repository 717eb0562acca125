using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using MultiCluster.Simulator.Protocol;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Faults;

/// <summary>The switchboard over HTTP: GET shows the faults, POST adds one, DELETE clears all, POST to <c>/watches/cut</c> and the like acts on open watches.</summary>
internal static class FaultEndpoints
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web) { Converters = { new JsonStringEnumConverter() } };

    public static async Task AnswerAsync(Exchange exchange, FaultSwitchboard faults)
    {
        string[] rest = exchange.Target.Path[FaultSwitchboard.Path.Length..].Split('/', StringSplitOptions.RemoveEmptyEntries);
        string? resource = exchange.Http.Request.Query.TryGetValue("resource", out var asked) ? asked.ToString() : null;
        switch (exchange.Http.Request.Method, rest)
        {
            case ("GET", []):
                break;
            case ("DELETE", []):
                faults.Clear();
                break;
            case ("POST", []):
                faults.Add(Read(await RequestBody.ReadAsync(exchange.Http)));
                break;
            case ("POST", ["watches", var what]):
                int hit = what switch
                {
                    "cut" => faults.CutWatches(resource),
                    "end" => faults.EndWatches(resource),
                    "expire" => faults.ExpireWatches(resource),
                    "silence" => faults.SilenceWatches(resource),
                    "wake" => faults.WakeWatches(resource),
                    _ => throw Refusal.BadRequest("use cut, end, expire, silence or wake"),
                };
                await exchange.WriteAsync(new JsonObject { ["watches"] = hit }, new Negotiation(BodyForm.Object, false, true));
                return;
            case ("POST", ["health"]):
                faults.FailHealthChecks([.. exchange.Http.Request.Query["fail"].OfType<string>()]);
                break;
            default:
                throw Refusal.MethodNotAllowed();
        }

        var active = new JsonArray([.. faults.Active.Select(f => JsonSerializer.SerializeToNode(f, Options))]);
        await exchange.WriteAsync(new JsonObject { ["faults"] = active, ["openWatches"] = faults.OpenWatches }, new Negotiation(BodyForm.Object, false, true));
    }

    private static Fault Read(byte[] body)
    {
        try
        {
            return JsonSerializer.Deserialize<Fault>(body, Options) ?? throw Refusal.BadRequest("the body must be a fault such as {\"kind\":\"Status\",\"statusCode\":503}");
        }
        catch (JsonException e)
        {
            throw Refusal.BadRequest("the body must be a fault such as {\"kind\":\"Status\",\"statusCode\":503}: " + e.Message);
        }
    }
}

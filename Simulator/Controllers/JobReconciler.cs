using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;
using MultiCluster.Simulator.Tables;

namespace MultiCluster.Simulator.Controllers;

/// <summary>Jobs: pods until enough of them succeeded.</summary>
internal sealed class JobReconciler : IReconciler
{
    private const string Component = "job-controller";

    public ResourceName Resource => ResourceName.Jobs;

    public TimeSpan? Reconcile(JsonObject obj, ControllerContext context)
    {
        if (Selectors.IsEnding(obj) || Finished(obj))
        {
            return null;
        }

        List<JsonObject> pods = context.Cache.OwnedBy(ResourceName.Pods, obj);
        long succeeded = pods.Count(p => p.TextAt("status", "phase") == "Succeeded");
        long failed = pods.Count(p => p.TextAt("status", "phase") == "Failed");
        long parallelism = obj.At("spec", "parallelism") is null ? 1 : obj.NumberAt("spec", "parallelism");
        long completions = obj.At("spec", "completions") is null ? parallelism : obj.NumberAt("spec", "completions");
        long limit = obj.At("spec", "backoffLimit") is null ? 6 : obj.NumberAt("spec", "backoffLimit");
        bool complete = succeeded >= completions;
        bool lost = failed > limit;
        bool suspended = obj.Flag("spec", "suspend");
        List<JsonObject> active = [.. pods.Where(Selectors.IsActive)];
        long wanted = complete || lost || suspended ? 0 : Math.Min(parallelism, completions - succeeded);
        for (long i = active.Count; i < wanted; i++)
        {
            JsonObject pod = ControllerContext.PodFor(obj, obj.At("spec", "template"));
            pod["metadata"]!["generateName"] = obj.TextAt("metadata", "name") + "-";
            JsonObject created = context.Create(ResourceName.Pods, pod);
            context.Events.Record(obj, "Normal", "SuccessfulCreate", $"Created pod: {created.TextAt("metadata", "name")}", Component);
        }

        foreach (JsonObject pod in active.Skip((int)wanted))
        {
            context.Delete(ResourceName.Pods, pod);
        }

        active = [.. context.Cache.OwnedBy(ResourceName.Pods, obj).Where(Selectors.IsActive)];
        JsonObject status = [];
        if (obj.At("status", "conditions") is { } conditions)
        {
            status["conditions"] = conditions.DeepClone();
        }

        if (!suspended)
        {
            status["startTime"] = obj.At("status", "startTime")?.DeepClone() ?? context.Timestamp;
        }

        DeploymentReconciler.Set(status, "active", active.Count);
        DeploymentReconciler.Set(status, "succeeded", succeeded);
        DeploymentReconciler.Set(status, "failed", failed);
        status["ready"] = active.Count(p => Selectors.IsReady(p));
        status["terminating"] = pods.Count(Selectors.IsEnding);
        status["uncountedTerminatedPods"] = new JsonObject();
        if (complete)
        {
            status["completionTime"] = context.Timestamp;
            context.SetCondition(status, "SuccessCriteriaMet", "True", "CompletionsReached", "Reached expected number of succeeded pods");
            context.SetCondition(status, "Complete", "True", "CompletionsReached", "Reached expected number of succeeded pods");
            context.Events.Record(obj, "Normal", "Completed", "Job completed", Component);
        }
        else if (lost)
        {
            context.SetCondition(status, "Failed", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
            context.Events.Record(obj, "Warning", "BackoffLimitExceeded", "Job has reached the specified backoff limit", Component);
        }
        else if (suspended)
        {
            context.SetCondition(status, "Suspended", "True", "JobSuspended", "Job suspended");
        }

        context.UpdateStatus(Resource, obj, status);
        return null;
    }

    private static bool Finished(JsonObject job) =>
        job.Items("status", "conditions").Any(c => c.TextAt("type") is "Complete" or "Failed" && c.TextAt("status") == "True");
}
